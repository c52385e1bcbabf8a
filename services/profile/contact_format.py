"""How a customer's contact lies in a packed state: `state_format` puts it there. Pure.

Invariant: what is unpacked equals what was packed, and packing that again gives the same bytes.
Times are distances back from the view's clock, of messages each from the one before; names that
repeat stand once. The names of segments and the stage are in the view. docs/adr/0009 says why.
"""

from collections.abc import Iterator, Mapping
from itertools import accumulate, pairwise
from operator import sub
from typing import Any, Final

from msgspec import Struct

from services.profile.columns import Column, pack_column, unpack_column
from services.profile.contact import Contact, Hold, Responses, Sent, Stated
from shared.profile import View

_DIGEST_BYTES: Final = 8
_ID_BYTES: Final = 16
_EMPTY: Final = Contact()


class PackedContact(Struct, array_like=True):
    """The order of fields is the format; what is empty at the end is left out.

    marks, offset, offsets: of what was stated, the first offset and each one's distance from the
    one before; newest: of the messages; ages: distances between them; messages: None for those
    whose id is one of ids; kinds: (channel, scenario, tags, transactional), and by message which
    one it is of; spoke: where that is not the time of the scenario's newest message, None for
    never; covered: until when, as distances; arms: arm → experiments; segments: since when, in the
    view's order.
    """

    marks: bytes = b""
    offset: int = 0
    offsets: Column = b""
    newest: int = 0
    ages: Column = b""
    ids: bytes = b""
    messages: list[str | None] = []
    kinds: list[tuple[str, str, tuple[str, ...], bool]] = []
    kind: Column = b""
    outcomes: Column = b""
    responses: dict[str, Responses] = {}
    spoke: dict[str, int | None] = {}
    covered: dict[str, int] = {}
    holds: dict[str, Hold] = {}
    arms: dict[str, list[str]] = {}
    segments: list[int] = []
    stage_since: int | None = None
    contaminated: bool = False


def pack_contact(contact: Contact, view: View) -> tuple[Any, ...]:
    """What `PackedContact` holds, in its order; empty where nothing was ever said."""
    if contact == _EMPTY:
        return ()
    clock, sent = view.clock, contact.sent
    return trimmed(
        *_pack_stated(contact.stated),
        *_pack_sent(sent, clock),
        contact.responses,
        _differing(contact.spoke, _last_said(sent), clock),
        _distances(contact.covered, clock),
        contact.holds,
        _by_arm(contact.arms),
        [clock - contact.segments[name] for name in view.segments],
        contact.stage_since or None,
        contact.contaminated,
    )


def _pack_stated(stated: list[Stated]) -> tuple[bytes, int, Column]:
    offsets = [one.offset for one in stated]
    return (
        b"".join([one.mark.to_bytes(_DIGEST_BYTES, "little") for one in stated]),
        offsets[0] if offsets else 0,
        pack_column([after - before for before, after in pairwise(offsets)]),
    )


def _pack_sent(sent: list[Sent], clock: int) -> tuple[Any, ...]:
    """The fields from `newest` to `outcomes`."""
    ats = [one.at for one in sent]
    ids = [_short(one.message) for one in sent]
    sorts = [(one.channel, one.scenario, one.tags, one.transactional) for one in sent]
    kinds = {kind: place for place, kind in enumerate(dict.fromkeys(sorts))}
    return (
        clock - ats[0] if ats else 0,
        pack_column([before - after for before, after in pairwise(ats)]),
        b"".join(ids),
        [None if short else one.message for one, short in zip(sent, ids, strict=True)],
        list(kinds),
        pack_column([kinds[kind] for kind in sorts]),
        pack_column([one.outcome for one in sent]),
    )


def trimmed(*values: Any) -> tuple[Any, ...]:
    """Without what is empty at the end; a distance of 0 is something."""
    length = len(values)
    while length and not values[length - 1] and type(values[length - 1]) is not int:
        length -= 1
    return values[:length]


def unpack_contact(packed: PackedContact, view: View) -> Contact:
    """The contact that was packed beside this view."""
    clock = view.clock
    sent = _sent(packed, clock)
    said: dict[str, int | None] = {**_last_said(sent)}
    for scenario, distance in packed.spoke.items():
        said[scenario] = None if distance is None else clock - distance
    return Contact(
        sent=sent,
        holds=packed.holds,
        responses=packed.responses,
        spoke={scenario: at for scenario, at in said.items() if at is not None},
        covered=_distances(packed.covered, clock),
        stated=_stated(packed),
        arms={name: arm for arm, experiments in packed.arms.items() for name in experiments},
        contaminated=packed.contaminated,
        segments=dict(zip(view.segments, map(clock.__sub__, packed.segments), strict=True)),
        stage=view.stage,
        stage_since=packed.stage_since or 0,
    )


def _sent(packed: PackedContact, clock: int) -> list[Sent]:
    count = len(packed.messages)
    ages = unpack_column(packed.ages, max(0, count - 1))
    rows = zip(
        accumulate(ages, sub, initial=clock - packed.newest),
        _messages(packed),
        unpack_column(packed.kind, count),
        unpack_column(packed.outcomes, count),
        strict=False,
    )
    return [Sent(at, message, *packed.kinds[kind], outcome) for at, message, kind, outcome in rows]


def _short(message: str) -> bytes:
    """A trigger's id as the 16 bytes that it is; as text it would take a fifth more. b"": none."""
    if len(message) != 2 * _ID_BYTES:
        return b""
    try:
        short = bytes.fromhex(message)
    except ValueError:
        return b""
    return short if short.hex() == message else b""


def _messages(packed: PackedContact) -> Iterator[str]:
    ids = (packed.ids[at : at + _ID_BYTES].hex() for at in range(0, len(packed.ids), _ID_BYTES))
    return (next(ids) if message is None else message for message in packed.messages)


def _stated(packed: PackedContact) -> list[Stated]:
    marks = [
        int.from_bytes(packed.marks[at : at + _DIGEST_BYTES], "little")
        for at in range(0, len(packed.marks), _DIGEST_BYTES)
    ]
    further = unpack_column(packed.offsets, max(0, len(marks) - 1))
    return list(map(Stated, marks, accumulate(further, initial=packed.offset)))


def _last_said(sent: list[Sent]) -> dict[str, int]:
    """Scenario → its newest message of those that are kept, which are newest first."""
    return {one.scenario: one.at for one in reversed(sent) if one.scenario}


def _differing(
    spoke: Mapping[str, int], said: Mapping[str, int], clock: int
) -> dict[str, int | None]:
    other: dict[str, int | None] = {
        name: clock - spoke[name] for name in sorted(spoke) if spoke[name] != said.get(name)
    }
    return other | dict.fromkeys(sorted(said.keys() - spoke.keys()))


def _distances(times: Mapping[str, int], clock: int) -> dict[str, int]:
    return {name: clock - times[name] for name in sorted(times)}


def _by_arm(arms: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for experiment in sorted(arms):
        found.setdefault(arms[experiment], []).append(experiment)
    return found
