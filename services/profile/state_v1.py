"""Version 1 of how a profile lay in Redis, read only: the next write makes it version 2. Pure.

The state was one msgpack array with every field in full, the window 16 bytes a mark.
"""

import struct
from typing import Any, Final

import msgspec
from msgspec import Struct

from services.profile.component import Component
from services.profile.contact import contact_of
from services.profile.registers import Touch
from services.profile.state import LINKED, Profile
from services.profile.window import Window

START_V1: Final = b"\x99\x01"
"""How a state of version 1 began: an array of nine, the version first."""
_MINUTE_BITS: Final = 27


class _StateV1(Struct, array_like=True):
    version: int
    component: Component
    owner: str | None
    trail: list[Touch]
    active_at: int
    absorbed: list[str]
    decided: dict[str, int]
    sends: list[int]
    overflowed: bool


_decoder: Final = msgspec.msgpack.Decoder(_StateV1)


def read_profile_v1(data: bytes) -> Profile:
    """A state of version 1.

    It did not keep the offsets of what was absorbed: those are taken as unknown, and what is stated
    again of it meets the event-id window alone, as it did then.
    """
    state = _decoder.decode(data)
    state.component.seen_at = state.component.last_at
    return Profile(
        component=state.component,
        owner=state.owner,
        trail=state.trail,
        active_at=state.active_at,
        absorbed=dict.fromkeys(state.absorbed, LINKED),
        contact=contact_of(state.decided, state.sends),
        overflowed=state.overflowed,
    )


def read_window_v1(data: bytes) -> Window:
    """An event-id window of version 1: digests, then offsets above 27 bits of minute."""
    count = len(data) // 16
    numbers: tuple[Any, ...] = struct.unpack(f"<{2 * count}Q", data)
    values = numbers[count:]
    return Window(
        data[: 8 * count],
        [value >> _MINUTE_BITS for value in values],
        [value & ((1 << _MINUTE_BITS) - 1) for value in values],
    )
