"""The judge of a run: what must be, by `truth`, against what is, by `evidence`. Pure."""

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from tests.faults.plan import Plan
from tests.faults.poison import poison
from tests.faults.shoppers import LATE_ITEMS, Expectation
from tests.faults.truth import Account, Raw, Truth, work_out

SHOWN: Final = 10
NEVER_DUE: Final = 50 * 60_000
"""Ordinary carts are filled as the run goes on; they come due this long after its start or later"""


@dataclass(slots=True)
class Evidence:
    """raw: in the order of each partition; facts: source → keys of its copies in `events`; ids:
    source → event ids of those copies; dead: source → reasons; decided: the decisions' facts in
    log order; messages: topic → (id, bytes) of each message; accounts: by identity, as
    stored; items: counts by item."""

    raw: list[Raw] = field(default_factory=list)
    facts: dict[str, set[str]] = field(default_factory=dict)
    ids: dict[str, set[str]] = field(default_factory=dict)
    dead: dict[str, set[str]] = field(default_factory=dict)
    decided: list[dict[str, Any]] = field(default_factory=list)
    messages: dict[str, list[tuple[str, bytes]]] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    items: dict[str, list[int]] = field(default_factory=dict)


@dataclass(slots=True)
class Findings:
    """lost, applied_twice: raw events of which nothing became anything, and events that profiles
    miss or count once too often; wrong: what else is not as it must be, by name."""

    lost: int = 0
    applied_twice: int = 0
    decisions_expected: int = 0
    decisions_found: int = 0
    decisions_missing: int = 0
    messages_missing: int = 0
    id_conflicts: int = 0
    raw: int = 0
    distinct: int = 0
    dead: int = 0
    identities: int = 0
    wrong: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)

    def note(self, name: str, example: str) -> None:
        """One thing that is not as it must be."""
        self.wrong[name] = self.wrong.get(name, 0) + 1
        if len(self.examples) < SHOWN:
            self.examples.append(f"{name}: {example}")


def judge(plan: Plan, evidence: Evidence, base: int, now: int) -> Findings:
    """All findings of a run that started at `base` (epoch ms) and ended at `now`."""
    findings = Findings()
    bad = {
        record.number: poison(record.event, base).reason
        for record in plan.records
        if record.step is None
    }
    truth = work_out(plan, evidence.raw, bad)
    findings.raw, findings.distinct = len(evidence.raw), truth.distinct
    findings.dead, findings.identities = len(truth.dead), len(truth.accounts)
    if evidence.raw:
        _judge_sources(findings, truth, evidence)
        _judge_accounts(findings, truth, evidence)
        _judge_items(findings, truth, evidence)
        _judge_messages(findings, evidence)
    _judge_decisions(findings, plan, evidence, base, now)
    return findings


def _judge_sources(findings: Findings, truth: Truth, evidence: Evidence) -> None:
    """Each raw record became its facts under its identities' keys, or a dead letter; once."""
    for source, keys in truth.good.items():
        found = evidence.facts.get(source, set())
        if not keys <= found:
            findings.lost += 1
            findings.note("raw event without its fact", source)
        elif found != keys or evidence.ids[source] != {f"e{truth.numbers[source]}"}:
            findings.note("fact under a wrong key or id", source)
        if source in evidence.dead:
            findings.note("good event refused", f"{source} {evidence.dead[source]}")
    for source, reason in truth.dead.items():
        if source not in evidence.dead:
            findings.lost += 1
            findings.note("poison without its dead letter", f"{source} {reason}")
        elif evidence.dead[source] != {reason}:
            findings.note("wrong reason", f"{source} {reason} {evidence.dead[source]}")
        if source in evidence.facts:
            findings.note("poison became a fact", source)
    known = truth.good.keys() | truth.dead.keys()
    for source in (evidence.facts.keys() | evidence.dead.keys()) - known:
        findings.note("nobody sent this", source)


def _judge_accounts(findings: Findings, truth: Truth, evidence: Evidence) -> None:
    for identity, due in truth.accounts.items():
        held = evidence.accounts.get(identity, Account())
        gap = due.events - held.events
        findings.lost += max(0, gap)
        findings.applied_twice += max(0, -gap)
        if due != held:
            findings.note("account", f"{identity} due {_brief(due)} held {_brief(held)}")
    for identity in evidence.accounts.keys() - truth.accounts.keys():
        findings.note("nobody did anything as", identity)


def _judge_items(findings: Findings, truth: Truth, evidence: Evidence) -> None:
    """Each view, cart and purchase of an item counts once, whoever it was."""
    for item in truth.items.keys() | evidence.items.keys():
        due, held = truth.items.get(item), evidence.items.get(item)
        # Hours that lie too far back may be dropped, or not yet.
        if due != held and not item.startswith(LATE_ITEMS):
            findings.note("item", f"{item} due {due} held {held}")


def _brief(account: Account) -> str:
    counts = {code: count for code, count in sorted(account.totals.items()) if count}
    revenue = dict(account.revenue)
    return f"{account.events} events {account.orders} orders {revenue} {counts}"


def _judge_messages(findings: Findings, evidence: Evidence) -> None:
    """One id never has two contents, and what was decided was said."""
    contents: dict[str, set[bytes]] = {}
    for messages in evidence.messages.values():
        for ident, content in messages:
            contents.setdefault(ident, set()).add(content)
    first: dict[str, bytes] = {}
    for fact in reversed(evidence.decided):
        # The first fact with an id wins; what a later one says, nobody may ever hear.
        first[_message_id(fact)] = base64.b64decode(fact["trigger"])
    for ident, different in contents.items():
        if different != {first.get(ident)}:
            findings.id_conflicts += 1
            findings.note("messages that are not what was decided first", ident)
    for fact in evidence.decided:
        topic = f"triggers.{fact['channel']}" if fact["verdict"] == "send" else "suppressions"
        if not any(ident == _message_id(fact) for ident, _ in evidence.messages[topic]):
            findings.messages_missing += 1
            findings.note("decision without its message", fact["trigger_id"])


def _message_id(fact: dict[str, Any]) -> str:
    """Of a message the trigger's; of each time that none was sent an id of its own."""
    return str(fact["trigger_id"] if fact["verdict"] == "send" else fact["event_id"])


def _judge_decisions(
    findings: Findings, plan: Plan, evidence: Evidence, base: int, now: int
) -> None:
    """Each cart left behind came to exactly one decision, and no other cart to any."""
    found: dict[tuple[str, int], dict[str, Any]] = {}
    ids: dict[tuple[str, int], set[str]] = {}
    for fact in evidence.decided:
        moment = (fact["customer"], fact["due"] - base)
        found.setdefault(moment, fact)
        ids.setdefault(moment, set()).add(fact["trigger_id"])
    findings.decisions_found = len(found)
    findings.decisions_expected = plan.must
    for moment in _expected(plan):
        if moment not in found:
            findings.decisions_missing += 1
            findings.note("cart without a decision", f"{moment[0]} due {moment[1]}")
    for moment, fact in found.items():
        expected = plan.expectations.get(moment[0], Expectation())
        if len(ids[moment]) > 1:
            findings.note("cart with several decisions", f"{moment} {ids[moment]}")
        if moment[1] not in expected.must | expected.may and moment[1] < NEVER_DUE:
            findings.note("decision that nobody expects", f"{moment}")
        verdict = (fact["verdict"], fact["reason"])
        if expected.verdict is not None and verdict != expected.verdict:
            findings.note("wrong verdict", f"{moment} {verdict}")
        if fact["due"] > now:
            findings.note("decision before its time", f"{moment}")


def _expected(plan: Plan) -> Iterator[tuple[str, int]]:
    for customer, expected in plan.expectations.items():
        for due in expected.must:
            yield customer, due
