"""What is known of a shopper at the moment of a decision: the profile and the request, as one.

First step of `pipeline`. Pure.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from services.recommend.request import RecommendRequest
from shared.decisions import ConsentMode
from shared.profile import BOUGHT, CARTED, KIND_NAMES, VIEWED, View

LONGEST_SESSION: Final = 20
MOST_ANCHORS: Final = 4
"""Items whose companions are looked for: the page's, the cart's newest, the latest purchases."""

Own: TypeAlias = tuple[int, int | None]
"""What the shopper did with an item: a key of KIND_NAMES, and when where that is known."""


@dataclass(slots=True)
class Situation:
    """session: item ids, oldest first, each where it was last seen; anchors: items to complete,
    the most pressing first; events: item → what the shopper did with it last.

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
    events: dict[str, Own] = field(default_factory=dict)

    def evidence(self, item: str) -> list[dict[str, Any]]:
        """The shopper's own event on an item, as reasons show it; empty where there is none."""
        own = self.events.get(item)
        if own is None:
            return []
        return [{"fact": KIND_NAMES[own[0]], "item": item, "at": own[1]}]


def situate(request: RecommendRequest, view: View | None, visitor: View | None) -> Situation:
    """Put together what the answer may rest on.

    view: the profile of whom the request is for; visitor: the anonymous view that came beside a
    customer, of which only the session counts. A shopper who paused profiling gets offers by the
    request alone, so neither is used.
    """
    paused = (view is not None and view.paused) or (visitor is not None and visitor.paused)
    if paused:
        view = visitor = None
    context = request.context
    page = [context.item] if context.item else []
    events: dict[str, Own] = {}
    seen: list[str] = []
    purchases: list[str] = []
    if view is not None:
        for interest in reversed(view.recent):
            seen.append(interest.item)
            events[interest.item] = (interest.kind, interest.at)
        purchases = [i.item for i in view.recent if i.kind == BOUGHT]
        _visit(view, seen, events)
    if visitor is not None:
        _visit(visitor, seen, events)
    for item in (*request.session, *page):
        seen.append(item)
        events[item] = (VIEWED, None)
    cart = _distinct([*context.cart, *(view.cart if view else ())])
    for item in cart:
        events.setdefault(item, (CARTED, None))
    return Situation(
        profiled=view is not None,
        consent_mode="context_only" if paused else "profiled",
        session=_latest(seen)[-LONGEST_SESSION:],
        anchors=_distinct([*page, *cart[:2], *purchases[:2]])[:MOST_ANCHORS],
        cart=cart,
        bought=view.bought if view else [],
        dismissed=view.dismissed if view else [],
        excluded=[*request.exclude, *page],
        affinities=view.affinities if view else {},
        events=events,
    )


def _visit(view: View, seen: list[str], events: dict[str, Own]) -> None:
    viewed = (VIEWED, view.session.last)
    for item in view.session.items:
        seen.append(item)
        events.setdefault(item, viewed)


def _distinct(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))


def _latest(items: list[str]) -> list[str]:
    return list(dict.fromkeys(reversed(items)))[::-1]
