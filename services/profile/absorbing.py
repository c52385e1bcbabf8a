"""What a customer has absorbed: which parts of which visitors' histories. Pure.

Invariant: the parts of one visitor are added in the order in which they were handed over, each
exactly once, however late one is stated again. Each part names its offset in the visitor's
partition and, where there is one, the offset of the part before it to the same customer.
"""

from typing import Final

from services.profile.state import LINKED, Profile
from services.profile.window import Verdict
from shared.events import ProfileAbsorbed

ABSORBED_KEPT: Final = 1_000
HANDED_KEPT: Final = 4
OFFSET_BITS: Final = 63


def through_offset(fact: ProfileAbsorbed) -> int:
    """The offset, in the visitor's partition, of what caused this part to be handed over.

    Raises ValueError where it is none: somebody else has written this fact.
    """
    offset = int(fact.through.rpartition("/")[2])
    if offset.bit_length() > OFFSET_BITS:
        raise ValueError("an offset has 63 bits")
    return offset


def judge_part(profile: Profile, fact: ProfileAbsorbed) -> Verdict:
    """Whether a part is the next one, was added before, or came before the one it follows.

    EARLY: a publication failed in part, so the visitor's outbox still holds both and both come
    again, in order. A visitor that may have been forgotten (`absorbs_many`) is taken at its word.
    """
    standing = profile.absorbed.get(fact.anonymous or "")
    if standing is None:
        if absorbs_many(profile):
            return Verdict.NEW
        standing = LINKED
    if through_offset(fact) <= standing:
        return Verdict.DUPLICATE
    if fact.after is not None and fact.after > standing:
        return Verdict.EARLY
    return Verdict.NEW


def absorbs_many(profile: Profile) -> bool:
    """Whether ids may have been forgotten: `absorbed` is full, and no longer a complete list."""
    return len(profile.absorbed) >= ABSORBED_KEPT


def note_absorbed(profile: Profile, anonymous: str | None, through: int) -> None:
    """Remembers a visitor; beyond ABSORBED_KEPT those absorbed longest ago in the log go first."""
    if anonymous is None:
        return
    absorbed = profile.absorbed
    absorbed[anonymous] = max(absorbed.get(anonymous, LINKED), through)
    _keep_greatest(absorbed, ABSORBED_KEPT)


def note_handed(profile: Profile, owner: str, through: int) -> int | None:
    """Remembers on a visitor what went to whom; returns the offset of the part before, if any."""
    before = profile.handed.get(owner)
    profile.handed[owner] = through
    _keep_greatest(profile.handed, HANDED_KEPT)
    return before


def _keep_greatest(offsets: dict[str, int], kept: int) -> None:
    while len(offsets) > kept:
        del offsets[min(offsets, key=lambda name: (offsets[name], name))]
