"""How waiting moments lie in Redis: what is packed comes back, and names cost little."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.profile.moments.waiting import Waiting
from services.profile.moments.waiting_format import pack_waiting, unpack_waiting
from shared.packed import NewerVersion
from tests.unit.profile.builders import DAY, HOUR, NOW

texts = st.text(max_size=12)
times = st.integers(0, 2**52)
moments = st.lists(st.builds(Waiting, times, texts, texts, times, texts, texts), max_size=64)
USUAL = [
    Waiting(NOW + HOUR, "cart_abandoned", "5b1c2d9e0f7a3384-12", NOW, "", "item-145"),
    Waiting(NOW + 9 * DAY, "win_back", f"timer:inactive:{NOW}", NOW),
    Waiting(NOW + 365 * DAY, "first_order_anniversary", "timer:anniversary:2026", NOW),
    Waiting(NOW, "*segments", "*segments", NOW),
]
WRITTEN = (
    "0120e91d030094039496cf00000199c863ae80aeb3356231633264396530663761333338342d31322cc000a0"
    "a8313435f685fc00a8bc3630a0a11fddec00b732360f004c19686dc8da82c55a700482c359a6bc8a33c20eb8"
    "0261b23fde1b021dc0b4e729761d39d001"
)


@given(moments)
def test_any_moments_survive_their_packing(waiting: list[Waiting]) -> None:
    assert unpack_waiting(pack_waiting(waiting)) == waiting


def test_none_are_nothing() -> None:
    assert pack_waiting([]) == b""
    assert unpack_waiting(None) == unpack_waiting(b"") == []


def test_names_of_the_shipped_scenarios_cost_little() -> None:
    assert len(pack_waiting(USUAL)) < 0.6 * len(msgspec.msgpack.encode(USUAL))


def test_what_version_1_wrote_is_read() -> None:
    assert unpack_waiting(bytes.fromhex(WRITTEN)) == USUAL


def test_a_newer_version_and_damage_are_refused() -> None:
    packed = pack_waiting(USUAL)
    with pytest.raises(NewerVersion):
        unpack_waiting(b"\x02" + packed[1:])
    with pytest.raises(ValueError, match="damaged"):
        unpack_waiting(packed[:1] + b"\xff\xff\xff")
