"""Notes moments: what a fact, or a change of an item, begins for a customer. Pure.

After the fold of each new fact of a known customer (not in a replay), at the state after that fact;
of what was imported timers alone. Nearly free for facts that no scenario is on. Nothing is decided
here.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from services.profile.arbiter.arms import conflicts
from services.profile.arbiter.policy import Policy
from services.profile.component import Component, unpack
from services.profile.fold_kinds import CODES
from services.profile.identity import Identity
from services.profile.moments.around import Around, ItemMoved
from services.profile.moments.beginning import is_decided, is_known, may_begin
from services.profile.moments.book_index import Plan, index_of
from services.profile.moments.context import MomentContext
from services.profile.moments.occurring import occurrences
from services.profile.moments.waiting import (
    ARMS,
    NO_SCENARIOS,
    WAITING_KEPT,
    Waiting,
    item_cause,
)
from services.profile.scenarios.book import Book, OnItem, Scenario
from shared import events as facts
from shared.profile import VIEWED

_LOOKS_AHEAD: Final = 4
_SHOWN: Final = CODES[facts.OfferShown]
_NAMES: Final = {kind: name for name, kind in facts.FACT_TYPES.items()}
_SUBJECTS: Final[dict[type[facts.Fact], str]] = {
    **{kind: "order" for kind in facts.FACT_TYPES.values() if issubclass(kind, facts.OrderFact)},
    facts.SegmentEntered: "segment",
    facts.SegmentLeft: "segment",
    facts.StageChanged: "stage",
    facts.OccasionSaved: "name",
}
"""Fact type → the field that names what its moment is about besides the customer."""


def note(
    identity: Identity, fact: facts.AnyFact, book: Book, around: Around, now: int = 0
) -> Sequence[Waiting]:
    """Puts what this fact begins into `identity.waiting`, and returns it, but for timers; the
    identity, a known customer's, has folded the fact already. now: epoch ms, where it is known to
    be later than the fact's receipt: what is past by then begins nothing."""
    index = index_of(book)
    plan = index.plans.get(type(fact))
    noted: Sequence[Waiting] = ()
    if plan is not None:
        noted = _note_planned(identity, fact, plan, book, around, now)
    waiting = identity.waiting
    for scenario in index.idle:
        name = scenario.name
        for standing in waiting:
            if standing.scenario == name:
                break
        else:
            arm(identity, [scenario], around, _since(identity, fact))
    return noted


def _note_planned(
    identity: Identity, fact: facts.AnyFact, plan: Plan, book: Book, around: Around, now: int
) -> Sequence[Waiting]:
    moved: Iterable[Scenario] = plan.moved
    noted: Sequence[Waiting] = ()
    if isinstance(fact, facts.MessageDecided):
        # Of that timer the next occurrence begins.
        moved = [each for each in book.on_timers if each.name == fact.scenario]
    if facts.is_imported(fact):
        # A history begins nothing, and yet there are birthdays to come.
        pass
    elif isinstance(fact, facts.ProfileAbsorbed):
        part = unpack(fact.component)
        noted = _note_absorbed(identity, fact, part, book, around, now)
        if not (part.traits or part.orders or part.occasions):
            # As most parts are: a page that was looked at moves no timer.
            return noted
    elif plan.scenarios:
        noted = _note_fact(identity, fact, plan.scenarios, book.policy, around, now)
    if moved:
        arm(identity, moved, around, _since(identity, fact))
    return noted


def _since(identity: Identity, fact: facts.AnyFact) -> int:
    """After when the next occurrence of a timer is looked for."""
    clock = _clock(identity, fact)
    return max(clock, fact.received_at) if facts.is_imported(fact) else clock


def note_timers(
    identity: Identity, book: Book, around: Around, now: int, imported_at: int = 0
) -> None:
    """Puts the next occurrences of all named timers where nothing earlier waits, those that were
    missed but are not past at `now` (epoch ms) included; but none of before a history was imported,
    of which nothing was ever to be said."""
    for scenario in book.on_timers:
        arm(identity, [scenario], around, max(now - scenario.life_ms, imported_at))


def note_change(
    identity: Identity, change: ItemMoved, interest: frozenset[str], book: Book, around: Around
) -> bool:
    """Puts what a change of an item begins for a customer who showed these kinds of interest in
    it; whether it did. What waits, is held or was decided is not begun again."""
    item, at = change.item.item, change.item.changed_at
    context = MomentContext(
        identity.profile, around, max(at, identity.profile.component.last_at), moved=change
    )
    put = False
    for scenario in book.on_items:
        if not isinstance(scenario.on, OnItem) or not scenario.on.interest & interest:
            continue
        moment = Waiting(
            at + scenario.after_ms, scenario.name, item_cause(change), at, subject=item, item=item
        )
        if (
            may_begin(identity, scenario, moment.due, book.policy) is None
            and not is_known(identity, moment)
            and (scenario.when is None or scenario.when.holds(context))
        ):
            put |= _put(identity, moment)
    return put


def _note_fact(
    identity: Identity,
    fact: facts.AnyFact,
    scenarios: Sequence[Scenario],
    policy: Policy,
    around: Around,
    now: int,
) -> list[Waiting]:
    at = fact.occurred_at
    past = max(now, fact.received_at)
    kind = type(fact)
    noted = []
    context: MomentContext | None = None
    for scenario in scenarios:
        due = at + scenario.after_ms
        if due + scenario.life_ms <= past or may_begin(identity, scenario, due, policy) is not None:
            continue
        if scenario.when is not None:
            if context is None:
                clock = _clock(identity, fact)
                context = MomentContext(identity.profile, around, clock, fact=fact)
            if not scenario.when.holds(context):
                continue
        subject = getattr(fact, _SUBJECTS[kind]) if kind in _SUBJECTS else ""
        item = fact.item if isinstance(fact, facts.ItemFact) else ""
        moment = Waiting(due, scenario.name, fact.event_id, at, subject, item)
        if _put(identity, moment):
            noted.append(moment)
    return noted


def _note_absorbed(
    identity: Identity,
    absorbed: facts.ProfileAbsorbed,
    part: Component,
    book: Book,
    around: Around,
    now: int,
) -> list[Waiting]:
    """A visitor logged in: the newest of what it carted, viewed and wished is as if just told."""
    _note_contamination(identity, absorbed, part, book.policy)
    noted: list[Waiting] = []
    for fact in (absorbed, *_told_by(part, absorbed)):
        scenarios = book.by_fact.get(_NAMES[type(fact)])
        if scenarios:
            noted += _note_fact(identity, fact, scenarios, book.policy, around, now)
    return noted


def _note_contamination(
    identity: Identity, absorbed: facts.ProfileAbsorbed, part: Component, policy: Policy
) -> None:
    """Offers that were shown to the visitor while it was drawn into another arm."""
    contact, customer = identity.profile.contact, identity.key[2:]
    if contact.contaminated or not (part.shown or part.totals.get(_SHOWN)):
        return
    if conflicts(absorbed.anonymous or "", customer, policy, recorded=contact.arms):
        _put(identity, Waiting(absorbed.received_at, ARMS, absorbed.event_id, absorbed.received_at))


def _told_by(part: Component, absorbed: facts.ProfileAbsorbed) -> Iterable[facts.AnyFact]:
    told: dict[str, Any] = {
        "customer": absorbed.customer,
        "received_at": absorbed.received_at,
        "source": absorbed.source,
    }
    carted = [(mark, item) for item, mark in part.cart.items() if mark.quantity]
    if carted:
        cart_mark, item = max(carted)
        told |= {"event_id": cart_mark.event_id, "occurred_at": cart_mark.at}
        yield facts.CartAdded(**told, item=item, quantity=cart_mark.quantity)
    # Of these the state keeps no event's id: what handed them over stands for it.
    told |= {"event_id": absorbed.event_id}
    viewed = next((touch for touch in part.recent if touch.kind == VIEWED), None)
    if viewed is not None:
        yield facts.ItemViewed(**told | {"occurred_at": viewed.at}, item=viewed.item)
    wished = [(mark, item) for item, mark in part.wishes.items() if mark.value]
    if wished:
        mark, item = max(wished)
        yield facts.WishlistAdded(**told | {"occurred_at": mark.at}, item=item)


def arm(identity: Identity, scenarios: Iterable[Scenario], around: Around, now: int) -> None:
    """Puts the next occurrences of scenarios on timers after `now` (epoch ms).

    A standing entry that is due earlier stays: when it is too early it is moved then, so that what
    keeps putting a timer off costs nothing.
    """
    for scenario in scenarios:
        found = undecided(identity, scenario, around, now)
        if not found:
            continue
        standing = [each.due for each in identity.waiting if each.scenario == scenario.name]
        if not standing or min(standing) > found[0].due:
            replace_timers(identity, scenario, found)


def undecided(identity: Identity, scenario: Scenario, around: Around, after: int) -> list[Waiting]:
    """The first occurrences after `after` (epoch ms) on which there is no verdict yet."""
    for _ in range(_LOOKS_AHEAD):
        found = occurrences(identity.profile, scenario, around, after)
        open_ones = [moment for moment in found if not is_decided(identity, moment)]
        if open_ones or not found:
            return open_ones
        after = found[0].due
    return []


def replace_timers(identity: Identity, scenario: Scenario, found: Iterable[Waiting]) -> None:
    """What waits for a scenario on a timer is these occurrences, and no others."""
    identity.waiting = [each for each in identity.waiting if each.scenario != scenario.name]
    for moment in found:
        _put(identity, moment)


def _put(identity: Identity, moment: Waiting) -> bool:
    """Of two for one scenario and subject the later stays; beyond WAITING_KEPT of what a fact or an
    item began that goes which happened longest ago."""
    waiting = identity.waiting
    for place, standing in enumerate(waiting):
        if standing.scenario == moment.scenario and standing.subject == moment.subject:
            if standing.at <= moment.at:
                waiting[place] = moment
                return True
            return False
    waiting.append(moment)
    if len(waiting) > WAITING_KEPT:
        waiting.remove(min(waiting, key=_stays))
    return moment in waiting


def _stays(moment: Waiting) -> tuple[bool, int, str]:
    return moment.from_timer or moment.scenario in NO_SCENARIOS, moment.at, moment.cause


def _clock(identity: Identity, fact: facts.AnyFact) -> int:
    return max(identity.profile.component.last_at, fact.occurred_at)
