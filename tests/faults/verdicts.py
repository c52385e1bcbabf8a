"""The second witness on messages: the right moments, each decided once, held no longer than said,
and told with one content. Pure; part of `witness`.
"""

import base64
from collections.abc import Iterator
from typing import Any, Final

from tests.faults.findings import Evidence, Findings
from tests.faults.plan import Plan
from tests.faults.shoppers import Expectation

NEVER_DUE: Final = 50 * 60_000
"""Ordinary carts are filled as the run goes on; they come due this long after its start or later"""
SOON: Final = 30_000
"""What is held for so long at most is waited for."""

Verdict = dict[str, Any]


def judge_messages(findings: Findings, evidence: Evidence) -> None:
    """One id never has two contents, what was decided was said, and whoever listened heard it."""
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
    topics = {topic: {ident for ident, _ in found} for topic, found in evidence.messages.items()}
    for fact in _verdicts(evidence).values():
        topic = f"triggers.{fact['channel']}" if fact["verdict"] == "send" else "suppressions"
        if _message_id(fact) not in topics[topic]:
            findings.messages_missing += 1
            findings.note("decision without its message", fact["trigger_id"])
    if evidence.heard is not None and evidence.heard != contents:
        for ident in sorted(contents.keys() | evidence.heard.keys()):
            if evidence.heard.get(ident) != contents.get(ident):
                findings.messages_missing += 1
                findings.note("the subscriber heard something else", ident)


def judge_decisions(
    findings: Findings, plan: Plan, evidence: Evidence, base: int, now: int
) -> None:
    """Each moment that had to come did, to one trigger, and no other did."""
    moments: dict[tuple[str, int], dict[str, list[Verdict]]] = {}
    for fact in _verdicts(evidence).values():
        triggers = moments.setdefault((fact["customer"], fact["due"] - base), {})
        triggers.setdefault(fact["trigger_id"], []).append(fact)
    findings.decisions_found = len(moments)
    findings.decisions_expected = plan.must
    for moment in _expected(plan):
        if moment not in moments:
            findings.decisions_missing += 1
            findings.note("moment without a decision", f"{moment[0]} due {moment[1]}")
    for moment, triggers in moments.items():
        expected = plan.expectations.get(moment[0], Expectation())
        if len(triggers) > 1:
            findings.note("moment with several triggers", f"{moment} {sorted(triggers)}")
        if moment[1] not in expected.must | expected.may and moment[1] < NEVER_DUE:
            findings.note("decision that nobody expects", f"{moment}")
        for verdicts in triggers.values():
            _judge_trigger(findings, moment, verdicts, expected, now)


def _judge_trigger(
    findings: Findings,
    moment: tuple[str, int],
    verdicts: list[Verdict],
    expected: Expectation,
    now: int,
) -> None:
    """From the first verdict to the last: each attempt once, none too early, none after the last
    word, and what was held is taken up again."""
    verdicts = sorted(verdicts, key=_attempt)
    last = verdicts[-1]
    held = [fact for fact in verdicts if fact["verdict"] == "hold"]
    findings.held += bool(held)
    findings.released += bool(held) and last["verdict"] == "send"
    if [_attempt(fact) for fact in verdicts] != list(range(1, len(verdicts) + 1)):
        findings.note("attempts are not one after the other", f"{moment}")
    if any(fact["verdict"] != "hold" for fact in verdicts[:-1]):
        findings.note("a word after the last word", f"{moment}")
    words = (verdicts[0]["verdict"], verdicts[0]["reason"])
    if expected.verdict is not None and words != expected.verdict:
        findings.note("wrong verdict", f"{moment} {words}")
    if last["verdict"] == "hold" and last["retry_at"] <= now + SOON:
        findings.decisions_missing += 1
        findings.note("held and not taken up again", f"{moment}")
    elif last["verdict"] == "suppress" and moment[1] in expected.sent:
        findings.note("not sent although nothing was against it", f"{moment} {last['reason']}")
    not_before = [verdicts[0]["due"], *(fact["retry_at"] for fact in held)]
    decided_at = [fact["occurred_at"] for fact in verdicts]
    if any(at < earliest for at, earliest in zip(decided_at, not_before, strict=False)):
        findings.note("decision before its time", f"{moment}")


def _verdicts(evidence: Evidence) -> dict[str, Verdict]:
    """The first fact of each id, in log order: later ones with that id say nothing."""
    found: dict[str, Verdict] = {}
    for fact in evidence.decided:
        found.setdefault(fact["event_id"], fact)
    return found


def _message_id(fact: Verdict) -> str:
    """What is sent has its trigger's id; each time it is not, the verdict has an id of its own."""
    return str(fact["trigger_id"] if fact["verdict"] == "send" else fact["event_id"])


def _attempt(fact: Verdict) -> int:
    return int(fact.get("attempt", 1))


def _expected(plan: Plan) -> Iterator[tuple[str, int]]:
    for customer, expected in plan.expectations.items():
        for due in expected.must:
            yield customer, due
