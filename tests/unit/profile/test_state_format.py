"""How a profile lies in Redis: what is packed comes back, of this version and of older ones."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.profile.component import Component
from services.profile.contact import Contact, Hold, Responses, Sent, Stated, contact_of
from services.profile.identity import Delivery, Identity, apply, stable_id
from services.profile.registers import (
    CartMark,
    Checkout,
    Consent,
    Feedback,
    Mark,
    Occasion,
    Touch,
    Trait,
)
from services.profile.state import Profile, fingerprint
from services.profile.state_format import Packed, pack_profile, unpack_profile
from services.profile.view import project
from services.profile.window import Window, digest
from shared import events as facts
from shared.packed import NewerVersion
from shared.profile import VIEW_VERSION, View, decode_view, encode_view
from tests.unit.profile.builders import DAY, NOW, base, fact_lists, folded

GOLDEN = Path(__file__).parents[2] / "fixtures" / "golden"
NAMES = ("new", "one_view", "customer", "visitor", "logged_in_visitor", "overflowed")
VERSIONS = (1, 2, 3, 4)

small = st.integers(0, 20)
counts = st.one_of(st.integers(1, 20), st.integers(1, 2**40))
times = st.one_of(st.just(0), st.integers(NOW - 900 * DAY, NOW), st.integers(0, 2**52))
ties = st.integers(0, 2**32 - 1)
texts = st.text(max_size=12)
marks = st.builds(Mark, times, ties, st.integers(0, 1))
shown_days = st.dictionaries(st.integers(1, 21_000), counts, min_size=1, max_size=3)
touches = st.lists(st.builds(Touch, times, ties, st.integers(1, 5), texts), max_size=16)
weeks = st.dictionaries(st.integers(0, 3_000), counts, min_size=1, max_size=5)
components = st.builds(
    Component,
    first_at=times,
    last_at=st.one_of(st.just(0), st.integers(NOW, NOW + DAY)),
    events=counts,
    sessions=counts,
    totals=st.dictionaries(st.integers(1, 16), counts),
    days=st.dictionaries(st.integers(0, 21_000), st.dictionaries(st.integers(1, 16), counts)),
    affinities=st.dictionaries(st.integers(0, 4), st.dictionaries(texts, weeks, max_size=4)),
    recent=touches,
    cart=st.dictionaries(texts, st.builds(CartMark, times, texts, st.integers(0, 2**40))),
    wishes=st.dictionaries(texts, marks),
    dismissed=st.dictionaries(texts, marks),
    bought=st.dictionaries(texts, times),
    orders=counts,
    first_order_at=times,
    last_order_at=times,
    revenue=st.dictionaries(texts, st.integers(-(2**40), 2**40)),
    refunded=st.dictionaries(texts, counts),
    traits=st.dictionaries(
        texts,
        st.builds(
            Trait,
            times,
            ties,
            st.one_of(texts, st.booleans(), st.floats(allow_nan=False), st.integers(-(2**63), 9)),
        ),
    ),
    consents=st.dictionaries(texts, st.builds(Consent, times, times, times)),
    paused=marks,
    occasions=st.dictionaries(texts, st.builds(Occasion, times, ties, small, small, texts)),
    feedback=st.dictionaries(texts, st.builds(Feedback, times, ties, st.floats(0, 100))),
    checkout=st.one_of(
        st.none(), st.builds(Checkout, times, texts, st.one_of(st.none(), counts), texts)
    ),
    progress=st.dictionaries(texts, marks),
    latest=st.dictionaries(small, times),
    seen_at=times,
)
digests = st.integers(0, 2**64 - 1)
tags = st.lists(texts, max_size=3).map(tuple)
names = st.sampled_from(["", "cart_abandoned", "win_back", "birthday"])
ids = st.one_of(texts, st.binary(min_size=16, max_size=16).map(bytes.hex), st.just("AB" * 16))
messages = st.lists(
    st.builds(Sent, times, ids, names, names, tags, st.booleans(), st.integers(0, 15)),
    max_size=8,
)
moments = st.dictionaries(names, times)
contacts = st.builds(
    Contact,
    sent=messages.map(lambda sent: sorted(sent, key=lambda one: -one.at)),
    holds=st.dictionaries(
        texts, st.builds(Hold, texts, times, times, small, texts, times, times, texts, texts, texts)
    ),
    responses=st.dictionaries(names, st.builds(Responses, counts, small, small, small, small)),
    spoke=moments,
    covered=moments,
    stated=st.lists(st.builds(Stated, digests, st.integers(0, 2**40)), max_size=8),
    arms=st.dictionaries(texts, names),
    contaminated=st.booleans(),
    segments=moments,
    stage=names,
    stage_since=times,
)


@st.composite
def with_offers(draw: st.DrawFn) -> Component:
    """Also with items bought again, and offers shown and clicked."""
    component = draw(components)
    component.again = {item: draw(counts) for item in component.bought if draw(st.booleans())}
    for item in component.again:
        if draw(st.booleans()):
            component.since[item] = component.bought[item] - draw(counts) + 1
    for item, days in draw(st.dictionaries(texts, shown_days, max_size=5)).items():
        component.shown[item] = days
        if draw(st.booleans()):
            component.shown[item] = {min(days) - 1: 0} | days
        elif draw(st.booleans()):
            component.shown[item] = {max(days): 0}
    return component


profiles = st.builds(
    Profile,
    component=with_offers(),
    owner=st.one_of(st.none(), texts),
    trail=touches,
    active_at=times,
    absorbed=st.dictionaries(texts, st.integers(-1, 2**40)),
    contact=st.one_of(st.just(Contact()), contacts),
    overflowed=st.booleans(),
    handed=st.dictionaries(texts, st.integers(0, 2**40)),
)


def window_of(event_ids: list[str]) -> Window:
    window = Window()
    for offset, event_id in enumerate(event_ids):
        window.remember(digest(event_id), offset, NOW)
    return window


def recent_weeks_only(component: Component) -> Component:
    """Without the weeks that `advance` has dropped before anything is projected."""
    now = component.last_at // DAY // 7
    for values in component.affinities.values():
        for value, row in values.items():
            values[value] = {max(now - week % 27, 0): weight for week, weight in row.items()}
    return component


@given(profiles, st.lists(texts, unique=True, max_size=20))
def test_any_profile_survives_its_packing(profile: Profile, event_ids: list[str]) -> None:
    recent_weeks_only(profile.component)
    packed = pack_profile(profile, window_of(event_ids))
    again, window = unpack_profile(packed)
    assert again == profile
    assert fingerprint(again) == fingerprint(profile)
    assert pack_profile(again, window) == packed


@given(fact_lists())
def test_the_ties_that_the_window_holds_are_not_kept_twice(sequence: list[Any]) -> None:
    profile = Profile(component=folded(*sequence))
    known, strange = window_of([fact.event_id for fact in sequence]), window_of(["another"])
    for window in (known, strange):
        packed = pack_profile(profile, window)
        assert unpack_profile(packed)[0] == profile
    if len(profile.component.recent) > 2:
        least = min(len(pack_profile(profile, window).state) for window in (known, strange))
        assert len(pack_profile(profile, known).state) == least


def golden(version: int, name: str) -> tuple[Packed, Profile, View]:
    entry = json.loads((GOLDEN / f"profiles_v{version}.json").read_text())[name]
    packed = Packed(*(bytes.fromhex(entry[part]) for part in ("view", "state", "window")))
    value = entry["profile_value"]
    if version < 4:
        decided, sends = value[5:7]
        contact = contact_of({name: due for name, (due, _) in decided.items()}, sends)
        value[5:7] = [msgspec.to_builtins(contact)]
    profile = msgspec.json.decode(json.dumps(value), type=Profile)
    if version < 4:
        profile.component.seen_at = profile.component.last_at
    return packed, profile, msgspec.json.decode(json.dumps(entry["view_value"]), type=View)


def upgraded(view: View, again: View) -> View:
    """A view of before version 3 with what the state had always known."""
    view.bought_days, view.country, view.born = again.bought_days, again.country, again.born
    return view


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("version", VERSIONS)
def test_what_a_version_wrote_is_read_by_this_one(version: int, name: str) -> None:
    packed, profile, view = golden(version, name)
    assert packed.state[:1] == (b"\x99" if version == 1 else bytes([version]))
    again, _ = unpack_profile(packed)
    assert again == profile
    seen = decode_view(packed.view)
    assert seen == view
    assert project(again) == (view if version >= VIEW_VERSION else upgraded(view, project(again)))


@pytest.mark.parametrize("version", [1, 2, 3])
def test_messages_of_older_versions_count_on_for_budgets_and_cool_downs(version: int) -> None:
    contact = unpack_profile(golden(version, "customer")[0])[0].contact
    assert contact.sent == [Sent(NOW, "", "email", "cart_abandoned")]
    assert contact.spoke == {"cart_abandoned": NOW - 5, "win_back": NOW - 4}
    assert (contact.stated, contact.holds) == ([], {})


@pytest.mark.parametrize("name", NAMES)
def test_both_versions_hold_the_same_window(name: str) -> None:
    _, one = unpack_profile(golden(1, name)[0])
    _, other = unpack_profile(golden(2, name)[0])
    assert one.pack() == other.pack()
    assert len(one) == {"new": 0, "one_view": 1, "overflowed": 512}.get(name, len(other))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("version", VERSIONS)
def test_what_was_read_is_written_in_this_version_and_stays_the_same(
    version: int, name: str
) -> None:
    profile, window = unpack_profile(golden(version, name)[0])
    packed = pack_profile(profile, window)
    assert (packed.state[0], packed.view[0]) == (VERSIONS[-1], VIEW_VERSION)
    assert pack_profile(*unpack_profile(packed)) == packed


def test_a_newer_version_is_refused() -> None:
    packed = pack_profile(Profile(), Window())
    newer = bytes([VERSIONS[-1] + 1])
    with pytest.raises(NewerVersion):
        unpack_profile(packed._replace(state=newer + packed.state[1:]))
    newer = bytes([VIEW_VERSION + 1])
    with pytest.raises(NewerVersion):
        unpack_profile(packed._replace(view=newer + packed.view[1:]))
    with pytest.raises(ValueError, match="version 04"):
        decode_view(newer + packed.view[1:])
    with pytest.raises(NewerVersion):
        decode_view(b"")


def test_damage_is_noticed() -> None:
    packed = pack_profile(Profile(component=folded()), Window())
    with pytest.raises(ValueError, match="damaged"):
        unpack_profile(packed._replace(state=packed.state[:1] + b"\xff\xff\xff"))


def test_equality_does_not_depend_on_the_packing() -> None:
    packed, profile, _ = golden(1, "customer")
    upgraded, window = unpack_profile(packed)
    rewritten, _ = unpack_profile(pack_profile(upgraded, window))
    assert fingerprint(upgraded) == fingerprint(rewritten) == fingerprint(profile)


def test_what_was_said_to_a_customer_takes_few_bytes() -> None:
    identity = Identity("c:alice")
    sizes = []
    for number in range(40):
        fact = facts.MessageDecided(
            **base(number, NOW + number * DAY),
            trigger_id=stable_id(str(number)),
            scenario=("cart_abandoned", "browse_abandoned")[number % 2],
            channel="email",
            verdict="send",
            reason="allowed",
            tags=["reminder"],
        )
        apply(identity, Delivery(fact, 0, 1_000 * number))
        sizes.append(len(pack_profile(identity.profile, Window()).state))
    further = [after - before for before, after in pairwise(sizes)]
    assert sum(further) < 36 * len(further)
    assert decode_view(pack_profile(identity.profile, Window()).view) == project(identity.profile)


def test_a_new_identity_takes_few_bytes() -> None:
    identity = Identity("c:new")
    packed = pack_profile(identity.profile, identity.window)
    assert sum(map(len, packed)) < 120
    assert decode_view(encode_view(View())) == View()
