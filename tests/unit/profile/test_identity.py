"""One identity: guards against counting twice, and what a login does, in any order of arrival."""

from itertools import count

from hypothesis import given
from hypothesis import strategies as st

from services.profile.component import Component
from services.profile.identity import Delivery, Identity, apply
from services.profile.state import canonical
from services.profile.view import cart_items, project
from services.profile.window import Verdict
from shared import events as facts
from tests.unit.profile.builders import (
    HOUR,
    MINUTE,
    NOW,
    base,
    bought,
    carted,
    fact_lists,
    viewed,
)


def login(number: int, anonymous: str = "v", customer: str = "alice", at: int = NOW):
    return facts.Identified(**base(number, at, customer=customer, anonymous=anonymous))


class Log:
    """A log of one partition, folded as it is written; outboxes are delivered at once."""

    def __init__(self) -> None:
        self.identities: dict[str, Identity] = {}
        self.records: list[tuple[str, Delivery]] = []
        self._offsets = count()

    def write(self, key: str, fact: facts.Fact) -> None:
        delivery = Delivery(fact, 0, next(self._offsets))
        self.records.append((key, delivery))
        self.deliver(key, delivery)

    def deliver(self, key: str, delivery: Delivery) -> None:
        identity = self.identities.setdefault(key, Identity(key))
        apply(identity, delivery)
        sent, identity.outbox = identity.outbox, []
        for entry in sent:
            self.write(entry.key, facts.decode(entry.value))

    def log_in(self, fact: facts.Identified) -> None:
        """As ingest writes it: under both keys."""
        self.write(facts.customer_key(fact.customer or ""), fact)
        self.write(facts.anonymous_key(fact.anonymous or ""), fact)

    def component(self, key: str) -> Component:
        return self.identities[key].profile.component


def test_a_redelivered_record_changes_nothing() -> None:
    identity = Identity("c:alice")
    delivery = Delivery(viewed(1), 3, 10)
    assert apply(identity, delivery) is Verdict.NEW
    before = canonical(identity.profile)
    assert apply(identity, delivery) is Verdict.REDELIVERED
    assert canonical(identity.profile) == before


def test_an_event_resent_under_a_new_offset_is_a_duplicate() -> None:
    identity = Identity("c:alice")
    apply(identity, Delivery(viewed(1), 3, 10))
    before = canonical(identity.profile)
    assert apply(identity, Delivery(viewed(1), 3, 11)) is Verdict.DUPLICATE
    assert canonical(identity.profile) == before
    assert identity.positions == {3: 11}


@given(fact_lists(), st.randoms(use_true_random=False))
def test_redelivery_from_any_earlier_offset_changes_nothing(sequence, chance) -> None:
    identity = Identity("c:alice")
    deliveries = [Delivery(fact, 0, offset) for offset, fact in enumerate(sequence)]
    for delivery in deliveries:
        apply(identity, delivery)
    before = canonical(identity.profile)
    for delivery in deliveries[chance.randrange(len(deliveries) + 1) :]:
        assert apply(identity, delivery) is not Verdict.NEW
    assert canonical(identity.profile) == before


@given(fact_lists(), fact_lists(), fact_lists())
def test_a_login_adds_what_the_visitor_did_exactly_once(before, own, after) -> None:
    log = Log()
    for number, fact in enumerate(before):
        fact.event_id = f"before-{number}"
        log.write("a:v", fact)
    for number, fact in enumerate(own):
        fact.event_id = f"own-{number}"
        log.write("c:alice", fact)
    log.log_in(login(500))
    for number, fact in enumerate(after):
        fact.event_id = f"after-{number}"
        log.write("a:v", fact)
    customer = log.component("c:alice")
    assert customer.events == len(before) + len(own) + len(after) + 1
    assert log.component("a:v") == Component()
    orders = sum(isinstance(fact, facts.Purchased) for fact in (*before, *own, *after))
    assert customer.orders == orders


def test_the_anonymous_cart_is_there_after_the_login() -> None:
    log = Log()
    log.write("a:v", carted(1, NOW, "lamp"))
    log.log_in(login(2))
    assert cart_items(log.component("c:alice")) == ["lamp"]
    assert log.identities["c:alice"].profile.absorbed == {"v": 2}


def test_logging_in_twice_hands_over_once() -> None:
    log = Log()
    log.write("a:v", bought(1, NOW))
    log.log_in(login(2))
    log.log_in(login(3))
    assert log.component("c:alice").orders == 1


def test_a_redelivered_login_states_the_same_component_under_the_same_id() -> None:
    visitor = Identity("a:v")
    apply(visitor, Delivery(viewed(1, anonymous="v"), 0, 0))
    apply(visitor, Delivery(login(2), 0, 1))
    stated = list(visitor.outbox)
    assert apply(visitor, Delivery(login(2), 0, 1)) is Verdict.REDELIVERED
    assert visitor.outbox == stated
    assert len(stated) == 1
    customer = Identity("c:alice")
    absorbed = facts.decode(stated[0].value)
    apply(customer, Delivery(absorbed, 1, 5))
    assert apply(customer, Delivery(absorbed, 1, 6)) is Verdict.DUPLICATE
    assert customer.profile.component.events == 1


def test_late_facts_of_a_visitor_go_on_to_the_owner_and_stay_in_the_session() -> None:
    log = Log()
    log.write("a:v", viewed(1, NOW, "lamp"))
    log.log_in(login(2, at=NOW + MINUTE))
    log.write("a:v", viewed(3, NOW + 2 * MINUTE, "mug"))
    assert log.component("c:alice").events == 3
    assert log.component("c:alice").sessions == 1
    view = project(log.identities["a:v"].profile)
    assert view.owner == "alice"
    assert view.session.items == ["lamp", "mug"]


def test_a_shared_device_gives_each_customer_what_came_before_their_login() -> None:
    log = Log()
    log.write("a:v", viewed(1, NOW, "lamp"))
    log.log_in(login(2, customer="alice", at=NOW + MINUTE))
    log.write("a:v", viewed(3, NOW + HOUR, "mug"))
    log.log_in(login(4, customer="bob", at=NOW + 2 * HOUR))
    log.write("a:v", viewed(5, NOW + 3 * HOUR, "sofa"))
    alice = {touch.item for touch in log.component("c:alice").recent}
    bob = {touch.item for touch in log.component("c:bob").recent}
    assert (alice, bob) == ({"lamp", "mug"}, {"sofa"})


def test_one_id_used_as_visitor_and_as_customer_stays_two_identities() -> None:
    log = Log()
    log.write("a:sam", viewed(1, NOW, "lamp"))
    log.write("c:sam", viewed(2, NOW, "mug"))
    assert log.component("a:sam").recent[0].item == "lamp"
    assert log.component("c:sam").recent[0].item == "mug"


def test_an_anonymous_grant_does_not_lift_the_customers_denial() -> None:
    log = Log()
    denial = facts.ConsentChanged(**base(1), purpose="marketing", granted=False)
    grant = facts.ConsentChanged(
        **base(2, NOW + HOUR, anonymous="v"), purpose="marketing", granted=True
    )
    log.write("c:alice", denial)
    log.write("a:v", grant)
    log.log_in(login(3, at=NOW + 2 * HOUR))
    assert log.component("c:alice").consents["marketing|*"].denies


def test_replaying_the_whole_log_gives_the_same_bytes() -> None:
    log = Log()
    log.write("a:v", carted(1, NOW, "lamp"))
    log.log_in(login(2))
    log.write("a:v", viewed(3, NOW + MINUTE, "mug"))
    log.write("c:alice", bought(4, NOW + HOUR, "lamp"))
    again: dict[str, Identity] = {}
    for key, delivery in log.records:
        apply(again.setdefault(key, Identity(key)), delivery)
    for key, identity in log.identities.items():
        assert canonical(again[key].profile) == canonical(identity.profile)
