"""The judge of a run: what must be, by `truth`, against what is, by `evidence`. Pure."""

from tests.faults.findings import Evidence, Findings
from tests.faults.plan import Plan
from tests.faults.poison import poison
from tests.faults.shoppers import LATE_ITEMS
from tests.faults.truth import Account, Truth, work_out
from tests.faults.verdicts import judge_decisions, judge_messages


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
        judge_messages(findings, evidence)
    judge_decisions(findings, plan, evidence, base, now)
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
