"""Small logs of a shop that the checker of `attune bench triggers` reads in tests."""

from services.commands.bench.triggers_record import Gathered
from services.commands.bench.triggers_rules import Rules, read_rules

START = 1_772_366_400_000  # 2026-03-01 12:00 UTC
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
SPEED = 3_600
FILE = """
version: test
zone: Europe/Berlin
policy:
  budgets:
    - {messages: 1, window: 24h}
    - {messages: 2, window: 7d}
    - {messages: 1, window: 14d, tag: discount}
    - {messages: 1, window: 3d, channel: sms}
  quiet_hours: {from: "21:00", to: "08:00", channels: [email, push]}
  purposes:
    marketing: {basis: consent}
    news: {basis: consent, opt_in: true}
    care: {basis: legitimate_interest}
    service: {basis: contract, transactional: true}
  holdout: {share: 0.2, salt: s}
scenarios:
  - {name: cart, on: cart_added, purpose: marketing, channels: [email], tags: [reminder]}
  - {name: restock, on: {item_changed: [viewed]}, purpose: marketing, channels: [email]}
  - {name: bonus, on: {timer: birthday}, purpose: marketing, channels: [email], tags: [discount]}
  - {name: letter, on: {timer: inactive}, purpose: news, channels: [email]}
  - {name: thanks, on: purchased, purpose: care, channels: [email]}
  - {name: parcel, on: order_delayed, purpose: service, channels: [email]}
"""


def rules() -> Rules:
    return read_rules(FILE)


class Log:
    """Writes facts, triggers and items as the topics would hold them."""

    def __init__(self) -> None:
        self.gathered = Gathered(self.real)
        self.count = 0

    def real(self, at: int) -> int:
        return 1_700_000_000_000 + (at - START) // SPEED

    def fact(self, kind: str, at: int, customer: str = "alice", **fields) -> None:
        self.count += 1
        fact = {
            "type": kind,
            "event_id": f"e{self.count}",
            "occurred_at": at,
            "customer": customer,
            **fields,
        }
        self.gathered.event(fact, self.real(at))

    def bought(self, item: str, at: int, customer: str = "alice", total: int = 100) -> None:
        self.fact("purchased", at, customer, lines=[{"item": item}], total=total)

    def item(self, name: str, stock: int | None, at: int) -> None:
        self.gathered.item({"item": name, "stock": stock}, self.real(at))

    def send(
        self,
        scenario: str,
        at: int,
        customer: str = "alice",
        channel: str = "email",
        items: tuple[str, ...] = (),
        item: str = "",
        evidence: tuple[str, ...] = (),
        told: bool = True,
    ) -> str:
        """A decision to send, with its trigger unless it was not told; and an arm, if none is."""
        if "holdout" not in self.gathered.arms.get(customer, {}):
            self.fact("arm_assigned", at, customer, experiment="holdout", arm="treated")
        name = f"t{self.count + 1}"
        self.fact(
            "message_decided",
            at,
            customer,
            trigger_id=name,
            scenario=scenario,
            channel=channel,
            verdict="send",
            reason="allowed",
        )
        data = {
            "customer": customer,
            "scenario": scenario,
            "payload": {"items": list(items)},
            "about": {"item": item} if item else {},
            "evidence": list(evidence),
        }
        if told:
            self.gathered.trigger(name, channel, data, self.real(at) + 100)
        return name

    def hold(self, at: int, retry_at: int | None, reason: str = "budget") -> str:
        """A decision to hold, and the id of its fact."""
        fields = {"trigger_id": f"h{at}", "scenario": "cart", "channel": "email"}
        self.fact("message_decided", at, **fields, verdict="hold", reason=reason, retry_at=retry_at)
        return f"e{self.count}"
