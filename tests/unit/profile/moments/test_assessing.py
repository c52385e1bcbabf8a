"""Segments and stage: changes of membership are facts, and time alone can change them."""

from typing import Any

from msgspec.structs import replace

from services.profile.batch import fold_identity
from services.profile.identity import Delivery
from services.profile.moments.assessing import newest_position
from services.profile.moments.due import AT_ONCE, next_due
from services.profile.moments.firing import fire
from services.profile.moments.stating import state
from services.profile.scenarios.book import OnFact, Segment
from services.profile.window import Verdict
from shared import events as facts
from tests.unit.profile.builders import DAY, HOUR, NOW, base, bought, carted, viewed
from tests.unit.profile.moments.books import CART, HAS_CART, Customer, When, book, scenario

BUYERS = Segment(name="buyers", when=When(lambda context: context.profile.component.orders > 0))
LATELY = Segment(
    name="lately",
    when=When(lambda context: context.now - context.profile.component.last_at < 30 * DAY),
    reassess_ms=(30 * DAY,),
)
STAGES = (
    Segment(name="loyal", when=When(lambda context: context.profile.component.orders > 1)),
    Segment(name="buying", when=When(lambda context: context.profile.component.orders > 0)),
)


def told(sequence: list[facts.AnyFact]) -> list[tuple[str, str]]:
    return [
        (facts.fact_type(fact), getattr(fact, "segment", "") or getattr(fact, "stage", ""))
        for fact in sequence
    ]


def test_what_a_batch_makes_of_segments_is_stated_once() -> None:
    alice = Customer(book(segments=[BUYERS]))
    assert alice.fold(viewed(1, NOW), now=NOW).due is None
    effects = alice.fold(bought(2, NOW), bought(3, NOW + 1), now=NOW + 5)
    assert effects.due == AT_ONCE == next_due(alice.identity)
    entered = alice.fold_outbox()
    assert told(entered) == [("segment_entered", "buyers")]
    assert (entered[0].occurred_at, entered[0].cause) == (NOW + 5, "0/2")
    assert alice.identity.profile.contact.segments == {"buyers": NOW + 5}
    assert alice.fold(viewed(5, NOW + 9), now=NOW + 10).due is None
    assert alice.identity.outbox == []


def test_who_comes_back_enters_again_under_an_id_that_anybody_would_give() -> None:
    ids = []
    for _ in range(2):
        alice = Customer(book(segments=[Segment(name="shopping", when=HAS_CART)]))
        stated: list[facts.AnyFact] = []
        for number in (1, 3):
            out = facts.CartRemoved(**base(number + 1, NOW + number + 1), item="lamp")
            for fact in (carted(number, NOW + number), out):
                alice.fold(fact, now=NOW + number)
                stated += alice.fold_outbox()
        assert told(stated) == 2 * [("segment_entered", "shopping"), ("segment_left", "shopping")]
        assert alice.identity.profile.contact.segments == {}
        ids.append([fact.event_id for fact in stated])
    assert ids[0] == ids[1]
    assert len(set(ids[0])) == 4


def test_what_the_book_has_no_more_is_left() -> None:
    alice = Customer(book(segments=[BUYERS]))
    alice.fold(bought(1, NOW), now=NOW)
    alice.fold_outbox()
    alice.rules = alice.rules._replace(book=book(segments=[LATELY]))
    alice.fold(viewed(2, NOW + 1), now=NOW + 2)
    assert told(alice.fold_outbox()) == [("segment_entered", "lately"), ("segment_left", "buyers")]


def test_the_first_stage_that_holds_is_the_customers() -> None:
    alice = Customer(book(stages=STAGES))
    alice.fold(viewed(1, NOW), now=NOW)
    assert alice.identity.outbox == []
    alice.fold(bought(2, NOW + 1), now=NOW + 1)
    assert told(alice.fold_outbox()) == [("stage_changed", "buying")]
    alice.fold(bought(3, NOW + 2), now=NOW + 2)
    (changed,) = alice.fold_outbox()
    assert isinstance(changed, facts.StageChanged)
    assert (changed.stage, changed.previous) == ("loyal", "buying")


def test_time_alone_can_end_a_membership() -> None:
    alice = Customer(book(segments=[LATELY]))
    alice.fold(viewed(1, NOW), now=NOW)
    alice.fold_outbox()
    assert next_due(alice.identity) == NOW + 30 * DAY + 1
    alice.fold(viewed(2, NOW + DAY), now=NOW + DAY)
    later = next_due(alice.identity)
    assert later == NOW + 31 * DAY + 1
    fire(alice.identity, alice.rules, later)
    assert told(alice.fold_outbox()) == [("segment_left", "lately")]
    assert next_due(alice.identity) is None


def test_what_came_since_does_not_put_off_a_rule_about_something_older() -> None:
    def read(context: Any) -> Any:
        return context.value("profile.days_since_order")

    rule = When(lambda c: read(c) > 90, variables=frozenset(["profile.days_since_order"]))
    gone = Segment(name="gone", when=rule, reassess_ms=(90 * DAY,))
    alice = Customer(book(segments=[gone]))
    alice.fold(bought(1, NOW), now=NOW)
    alice.fold(viewed(2, NOW + 60 * DAY), now=NOW + 60 * DAY)
    due = next_due(alice.identity)
    assert due == NOW + 90 * DAY + 1
    fire(alice.identity, alice.rules, due)
    assert told(alice.fold_outbox()) == [("segment_entered", "gone")]
    # The silence after the last event is asked about as well, then nothing is left to ask.
    assert next_due(alice.identity) == NOW + 150 * DAY + 1
    fire(alice.identity, alice.rules, NOW + 150 * DAY + 1)
    assert next_due(alice.identity) is None


def test_before_the_end_of_the_log_it_is_put_off() -> None:
    alice = Customer(book(segments=[BUYERS]))
    effects = alice.fold(bought(1, NOW), bought(2, NOW + 1))
    assert alice.identity.outbox == []
    assert effects.due == next_due(alice.identity) == NOW + 1
    fired = fire(alice.identity, alice.rules, NOW + HOUR)
    assert fired.changed
    assert told(alice.fold_outbox()) == [("segment_entered", "buyers")]
    assert newest_position(alice.identity) == "0/2"


def test_while_anything_waits_for_its_fold_segments_do() -> None:
    alice = Customer(book(CART, segments=[BUYERS]))
    alice.fold(carted(1, NOW), now=NOW)
    fired = fire(alice.identity, alice.rules, NOW + HOUR)
    state(alice.identity, fired.decisions.made, {}, *alice.rules, NOW + HOUR)
    alice.fold(bought(2, NOW + HOUR, "mug"), now=NOW + HOUR)
    assert len(alice.identity.outbox) == 1
    alice.fold_outbox()
    assert told(alice.fold_outbox()) == [("segment_entered", "buyers")]


def test_a_change_of_membership_is_a_fact_that_scenarios_may_be_on() -> None:
    welcome = scenario("welcome", OnFact(fact="segment_entered"), after_ms=0)
    alice = Customer(book(welcome, segments=[BUYERS]))
    alice.fold(bought(1, NOW), now=NOW)
    alice.fold_outbox()
    assert [(each.scenario, each.subject) for each in alice.identity.waiting] == [
        ("welcome", "buyers")
    ]


def test_a_visitor_has_no_segments() -> None:
    visitor = Customer(book(segments=[LATELY]), "a:v")
    visitor.fold(viewed(1, NOW, anonymous="v"), now=NOW)
    assert (visitor.identity.outbox, visitor.identity.waiting) == ([], [])


def test_imported_facts_turn_no_rule_until_the_customer_comes_back() -> None:
    alice = Customer(book(segments=[BUYERS]))
    imported = [replace(bought(number, NOW + number), source="import:shop") for number in (1, 2)]
    alice.fold(*imported, now=NOW + 2)
    alice.fold(replace(bought(3, NOW + 3), source="import:shop"))
    assert (alice.identity.outbox, alice.waiting) == ([], [])
    alice.fold(viewed(4, NOW + 4), now=NOW + 4)
    assert told(alice.fold_outbox()) == [("segment_entered", "buyers")]


def test_what_comes_while_a_change_waits_for_its_fold_is_asked_after_it() -> None:
    """That fold alone turns no rule, and the customer may never come back."""
    alice = Customer(book(segments=[LATELY], stages=STAGES))
    alice.fold(viewed(1, NOW), now=NOW)
    assert len(alice.identity.outbox) == 1
    alice.fold(bought(2, NOW + 1, "mug"), now=NOW + 1)
    assert told(alice.fold_outbox()) == [("segment_entered", "lately")]
    assert next_due(alice.identity) == NOW + 1
    fire(alice.identity, alice.rules, NOW + 2)
    assert told(alice.fold_outbox()) == [("stage_changed", "buying")]
    assert next_due(alice.identity) == NOW + 1 + 30 * DAY + 1


def test_a_change_that_is_stated_twice_begins_one_moment() -> None:
    """As around a rebuild: what the old generation stated last, and the new one of its own."""
    on = [
        scenario(name, OnFact(fact=name), after_ms=HOUR)
        for name in ("segment_entered", "stage_changed", "segment_left")
    ]
    alice = Customer(book(*on))

    def changes(number: int) -> list[facts.AnyFact]:
        return [
            facts.SegmentEntered(**base(number, NOW + number), segment="buyers"),
            facts.StageChanged(**base(number + 1, NOW + number), stage="buying"),
        ]

    alice.fold(*changes(1))
    began = list(alice.identity.waiting)
    assert [each.scenario for each in began] == ["segment_entered", "stage_changed"]
    assert set(alice.fold(*changes(11)).verdicts) == {Verdict.DUPLICATE}
    left = [facts.SegmentLeft(**base(20 + n, NOW + 20 + n), segment="buyers") for n in range(2)]
    assert alice.fold(*left).verdicts == [Verdict.NEW, Verdict.DUPLICATE]
    assert alice.identity.waiting[:2] == began
    assert len(alice.identity.waiting) == 3


def test_a_repeated_fact_that_asks_for_segments_sets_the_timer_whenever_it_comes() -> None:
    """Also where its first reader died between the state and the index."""
    alice = Customer(book(segments=[BUYERS]))
    again = [Delivery(viewed(1, NOW), 0, offset) for offset in (0, 1)]
    fold_identity(alice.identity, again[:1], alice.rules, NOW)
    for _ in range(2):
        assert fold_identity(alice.identity, again[1:], alice.rules).due == NOW
