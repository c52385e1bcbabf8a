"""What is known of a shopper at the moment of a decision: the profile and the request, as one.

First step of `pipeline`. Pure.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from services.recommend.request import Asking
from shared.catalogue import Cap
from shared.decisions import ConsentMode
from shared.profile import BOUGHT, CARTED, DAY_MS, KIND_NAMES, VIEWED, View

LONGEST_SESSION: Final = 20
MOST_CLICKS: Final = 64
"""Of a request's session, the newest: what neighbour_loops looks at."""
MOST_ANCHORS: Final = 4
"""Items whose companions are looked for: the page's, the cart's newest, the latest purchases."""


@dataclass(slots=True)
class Situation:
    """session: item ids, oldest first, what the request names as often as it does; anchors: items
    to complete, the most pressing first; asked: items that the request says were looked at; view,
    visitor: the profile, and the anonymous view beside a customer's; identity: the key of who is
    known by the profile.

    bought, dismissed and affinities are empty unless the profile may be used.
    """

    profiled: bool
    consent_mode: ConsentMode
    session: list[str]
    anchors: list[str]
    cart: list[str]
    bought: list[str]
    dismissed: list[str]
    excluded: list[str]
    affinities: dict[str, list[tuple[str, int]]]
    asked: list[str]
    view: View | None
    visitor: View | None
    identity: str | None = None

    def capped(self, cap: Cap | None, now: int) -> list[str]:
        """Items that this shopper was shown as often as the cap allows and did not click, the last
        time within its days. A shopper whose profile is not used is not counted."""
        if cap is None or self.view is None:
            return []
        passed = now // DAY_MS - self.view.clock // DAY_MS
        return [
            item
            for item, times, days in self.view.shown
            if times >= cap.times and passed + days < cap.days
        ]

    def purchases(self, now: int) -> tuple[list[int], list[int], int]:
        """Of each of `bought`, side by side: days since it was last bought until the profile's
        clock, and in how many orders; days since then. Nothing of a view that does not say it."""
        if self.view is None or len(self.view.bought_days) != len(self.bought):
            return [], [], 0
        times = self.view.bought_times or [1] * len(self.bought)
        return self.view.bought_days, times, now // DAY_MS - self.view.clock // DAY_MS

    @property
    def country(self) -> str | None:
        """Where the shopper is at home, as far as the profile may be used and says it by its code
        (ISO 3166): what an order calls it otherwise stands for no season and no item's countries.
        """
        told = None if self.view is None else self.view.country
        return told.upper() if told and len(told) == 2 and told.isascii() else None

    def age(self, now: int) -> int | None:
        """The least age in years that the shopper can have, as far as the profile may be used and
        knows the year of birth."""
        if self.view is None or self.view.born is None:
            return None
        return max(0, datetime.fromtimestamp(now / 1_000, tz=UTC).year - self.view.born - 1)

    def evidence(self, item: str) -> list[dict[str, Any]]:
        """What the shopper did last with an item, as reasons show it, and when where that is
        known; empty where nothing is known."""
        at: int | None = None
        kind = VIEWED if item in self.asked else None
        if kind is None and self.view is not None:
            for interest in self.view.recent:
                if interest.item == item:
                    kind, at = interest.kind, interest.at
                    break
        for view in (self.view, self.visitor):
            if kind is None and view is not None and item in view.session.items:
                kind, at = VIEWED, view.session.last
        if kind is None:
            if item not in self.cart:
                return []
            kind = CARTED
        return [{"fact": KIND_NAMES[kind], "item": item, "at": at}]


def situate(
    request: Asking, view: View | None, visitor: View | None, identity: str | None = None
) -> Situation:
    """Put together what the answer may rest on.

    view: the profile of whom the request is for; visitor: the anonymous view that came beside a
    customer, of which only the session counts; identity: the key of whose profile it is, as far as
    that was proved. A shopper who paused profiling, or whose page asks for it, gets offers by the
    request alone, so none of them is used.
    """
    paused = (
        request.context_only
        or (view is not None and view.paused)
        or (visitor is not None and visitor.paused)
    )
    if paused:
        view = visitor = None
    context = request.context
    page = [context.item] if context.item else []
    asked = request.session + page
    # the newest first
    seen: list[str] = []
    purchases: list[str] = []
    if visitor is not None:
        seen += visitor.session.items[::-1]
    if view is not None:
        seen += view.session.items[::-1]
        seen += [interest.item for interest in view.recent]
        purchases = [interest.item for interest in view.recent if interest.kind == BOUGHT]
    cart = list(dict.fromkeys(context.cart + view.cart if view is not None else context.cart))
    return Situation(
        profiled=view is not None,
        consent_mode="context_only" if paused else "profiled",
        session=_clicks(seen, asked),
        anchors=list(dict.fromkeys(page + cart[:2] + purchases[:2]))[:MOST_ANCHORS],
        cart=cart,
        bought=view.bought if view is not None else [],
        dismissed=view.dismissed if view is not None else [],
        excluded=request.exclude + page,
        affinities=view.affinities if view is not None else {},
        asked=asked,
        view=view,
        visitor=visitor,
        identity=identity if view is not None else None,
    )


def _clicks(known: list[str], asked: list[str]) -> list[str]:
    """The session, oldest first: what the profile knows of it (the newest first here), each item
    once, then what the request says, with its returns to an item: they tell what comes next. At
    most LONGEST_SESSION different items."""
    newest = list(dict.fromkeys(asked[::-1]))[:LONGEST_SESSION]
    before = [item for item in dict.fromkeys(known) if item not in newest]
    kept = set(newest)
    room = LONGEST_SESSION - len(newest)
    return before[:room][::-1] + [item for item in asked if item in kept][-MOST_CLICKS:]
