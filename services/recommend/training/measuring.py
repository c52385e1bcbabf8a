"""What a new version is measured against on the held-out part: popularity, and the one in force.

Between the trainers and the rule of promotion.

The version in force is measured as it stands where it has not seen the held-out part. Where it has
seen it, because training read the same days again, it would only repeat them: then its settings
are trained anew on what came before, and that is measured. Where the new version was made of fewer
facts or older ones, the one in force is measured as it stands all the same: less is to show that
it is not worse.
"""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import numpy as np

from services.recommend.arrays import Numbers
from services.recommend.candidates.neighbour_weights import NeighbourSettings
from services.recommend.candidates.sessions import SessionIndex
from services.recommend.models.live_parts import PAIRS, SESSIONS, live_parts
from services.recommend.numbers import ItemNumbers
from services.recommend.training import baskets, sessions
from services.recommend.training.baskets import Completion
from services.recommend.training.history import History
from services.recommend.training.holding_out import HeldOut
from services.recommend.training.promotion import POPULARITY, Comparison, compare
from services.recommend.training.session_settings import K as NEXT
from shared.models.store import Version

AS_IT_STANDS: Final = "as it stands"
ANEW: Final = "its settings, trained anew before the held-out part"
NEXT_ITEM: Final = f"next item MRR@{NEXT}"
MISSING_ITEM: Final = f"missing item recall@{baskets.K}"


class InForce(NamedTuple):
    """The version in force, under the history's item numbers; whether it is measured as it stands
    (`repeats` False) or only its settings are."""

    version: Version
    numbers: ItemNumbers
    local: Numbers
    repeats: bool


def in_force(version: Version | None, history: History, moment: int) -> InForce | None:
    """What of the version in force can be compared with a history cut at `moment`."""
    if version is None:
        return None
    numbers = ItemNumbers()
    for item in history.items[1:]:
        numbers.number(item)
    local = np.array([0, *map(numbers.number, version.items[1:])], dtype=np.int64)
    data: dict[str, Any] = version.metadata.data
    seen = int(data.get("to", 0)) >= moment
    as_much = history.facts >= int(data.get("facts", 0)) and history.last >= int(data.get("to", 0))
    return InForce(version, numbers, local, seen and as_much)


def next_item(
    held: HeldOut, settings: NeighbourSettings, current: InForce | None, seed: int
) -> list[Comparison]:
    """The next item of the sessions held out, against popularity and the one in force."""
    part = sessions.train(held.early, settings)
    asked = sessions.asked_of(held.later, held.early)
    _, groups, targets = asked
    if part is None or not len(targets):
        return []
    index = SessionIndex(capacity=sessions.CAPACITY)
    index.fill(part.arrays["rows"].astype(np.int32))
    ours = sessions.measured(index, settings, asked, held.early)
    popular = sessions.popular_ranks(asked, held.early)
    found = [compare(NEXT_ITEM, POPULARITY, ours, popular, groups, seed)]
    if current is not None and SESSIONS in current.version.parts:
        parts = current.version.parts
        theirs = NeighbourSettings.of(parts[SESSIONS].facts)
        if not current.repeats:
            live = live_parts(parts, current.local, current.numbers, sessions.CAPACITY)
            index = live.learned.sessions
        other = sessions.measured(index, theirs, asked, held.early)
        found.append(_against(NEXT_ITEM, ours, other, groups, current, seed))
    return found


def missing_item(held: HeldOut, current: InForce | None, seed: int) -> list[Comparison]:
    """The hidden item of the baskets held out, likewise."""
    part = baskets.train(held.early)
    asked = baskets.cases(held.baskets, seed)
    if part is None or not asked:
        return []
    shown, hidden, places = zip(*asked, strict=True)
    completion = Completion(part, np.arange(len(held.early.items)))

    def recall(find: Callable[[list[int]], Numbers]) -> Any:
        return baskets.hits([find(items) for items in shown], hidden)

    ours, groups = recall(completion.complete), held.customers[list(places)]
    popular = recall(completion.commonest)
    found = [compare(MISSING_ITEM, POPULARITY, ours, popular, groups, seed)]
    if current is not None and PAIRS in current.version.parts:
        other = ours
        if not current.repeats:
            theirs = Completion(current.version.parts[PAIRS], current.local)
            other = recall(theirs.complete)
        found.append(_against(MISSING_ITEM, ours, other, groups, current, seed))
    return found


def _against(
    metric: str, ours: Any, other: Any, groups: Numbers, current: InForce, seed: int
) -> Comparison:
    version = current.version.metadata.version
    how = ANEW if current.repeats else AS_IT_STANDS
    return compare(metric, version, ours, other, groups, seed, how)
