"""What is known of a shopper at the moment of a decision: the profile and the request, as one.

First step of `pipeline`. Pure.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from services.recommend.request import RecommendRequest
from shared.decisions import ConsentMode
from shared.profile import BOUGHT, KIND_NAMES, VIEWED, View

LONGEST_SESSION: Final = 20
MOST_ANCHORS: Final = 4
"""Items whose companions are looked for: the page's, the cart's newest, the latest purchases."""


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
    events: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def bare(self) -> bool:
        """Nothing to go on: neither a session nor anchors nor tastes."""
        return not (self.session or self.anchors or self.affinities)


def situate(request: RecommendRequest, view: View | None, visitor: View | None) -> Situation:
    """Put the request and what was read together.

    view: the profile of whom the request is for; visitor: the anonymous view that came beside a
    customer, of which only the session counts. A shopper who paused profiling gets offers by the
    request alone, so neither is used.
    """
    paused = (view is not None and view.paused) or (visitor is not None and visitor.paused)
    if paused:
        view = visitor = None
    context = request.context
    page = [context.item] if context.item else []
    events: dict[str, dict[str, Any]] = {}
    seen: list[str] = []
    if view is not None:
        for interest in reversed(view.recent):
            seen.append(interest.item)
            events[interest.item] = _event(KIND_NAMES[interest.kind], interest.item, interest.at)
        _visit(view, seen, events)
    if visitor is not None:
        _visit(visitor, seen, events)
    for item in (*request.session, *page):
        seen.append(item)
        events[item] = _event(KIND_NAMES[VIEWED], item, None)
    cart = _distinct([*context.cart, *(view.cart if view else ())])
    for item in cart:
        events.setdefault(item, _event("cart_added", item, None))
    purchases = [i.item for i in view.recent if i.kind == BOUGHT] if view else []
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


def _visit(view: View, seen: list[str], events: dict[str, dict[str, Any]]) -> None:
    for item in view.session.items:
        seen.append(item)
        if item not in events:
            events[item] = _event(KIND_NAMES[VIEWED], item, view.session.last)


def _event(fact: str, item: str, at: int | None) -> dict[str, Any]:
    return {"fact": fact, "item": item, "at": at}


def _distinct(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))


def _latest(items: list[str]) -> list[str]:
    return list(reversed(dict.fromkeys(reversed(items))))
