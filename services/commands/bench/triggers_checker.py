"""The independent checker of `attune bench triggers`: what was sent and should not have been. Pure.

Works on what the topics told (`triggers_record`) and on what the file forbids (`triggers_rules`),
and shares no code with the arbiter. Budgets, nights and holdouts are exact, by the time of the
decision; of them transactional messages pass budgets and holdouts, and count. Consent is exact, by
the order of the log: a no that stands before the decision forbids the message. Stock and purchases
count from IN_FLIGHT_MS of real time after the log had them: a decision cannot know what is still on
its way, and an accelerated clock makes hours of it. What lay within that time is told beside, as
`in_flight`. Each verdict must also have been told: its trigger, or its suppression with
the reason and the time of the next try.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from services.commands.bench.triggers_record import INTERESTS, Entry, Gathered, Said, Verdict
from services.commands.bench.triggers_rules import Limit, Rules

IN_FLIGHT_MS: Final = 2_000
FOLDED_MS: Final = 10_000
"""So long a profile process on a machine full of work may take to fold a verdict (real ms)."""
OVERTAKEN: Final = "consent"
"""What a decision to send becomes where the log had a no before it."""
EXAMPLES: Final = 5
BROKEN: Final = ("budget", "quiet", "consent", "holdout", "stock", "bought")


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that went out, with its decision."""

    said: Said
    verdict: Verdict


@dataclass(slots=True)
class Findings:
    """violations: by rule; in_flight: what was decided while the news was on its way; unmatched:
    messages without a decision, or two of one id; untold: decisions without their message, or with
    another reason or time; examples: a few by rule, each with its trigger id first."""

    violations: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(BROKEN, 0)))
    in_flight: Counter[str] = field(default_factory=Counter)
    unmatched: int = 0
    untold: int = 0
    examples: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def add(self, rule: str, sent: Sent) -> None:
        """One more message that breaks a rule."""
        self.violations[rule] += 1
        self.show(rule, sent.verdict)

    def show(self, rule: str, verdict: Verdict, detail: str = "") -> None:
        """As an example, unless there are enough."""
        if len(self.examples[rule]) < EXAMPLES:
            told = f"{verdict.trigger} {verdict.scenario} {verdict.reason} {detail}"
            self.examples[rule].append(told.rstrip())


def check(gathered: Gathered, rules: Rules) -> Findings:
    """Everything that was sent, against every rule."""
    findings = Findings()
    by_customer: dict[str, list[Sent]] = defaultdict(list)
    for sent in _matched(gathered, findings):
        by_customer[sent.said.customer].append(sent)
    for customer, messages in by_customer.items():
        messages.sort(key=lambda each: (each.verdict.at, not _free(each, rules)))
        _check_budgets(messages, rules, findings)
        _check_arms(messages, gathered.arms.get(customer, {}), rules, findings)
        for sent in messages:
            diary = gathered.diaries[customer][: sent.verdict.seen]
            _check_night(sent, diary, rules, findings)
            _check_consent(sent, diary, rules, findings)
            _check_stock(sent, gathered.items, findings)
            _check_bought(sent, diary, rules, findings)
    _check_told(gathered, findings)
    for arms in gathered.arms.values():
        findings.violations["holdout"] += sum(len(set(each)) > 1 for each in arms.values())
    return findings


def _matched(gathered: Gathered, findings: Findings) -> list[Sent]:
    decided = {each.trigger: each for each in gathered.verdicts if each.verdict == "send"}
    found = []
    for name, said in gathered.said.items():
        verdict = decided.get(name)
        if verdict is None or len(said) > 1:
            findings.unmatched += 1
        if verdict is not None:
            found += [Sent(each, verdict) for each in said]
    return found


def _check_told(gathered: Gathered, findings: Findings) -> None:
    """Each verdict by what a subscriber heard of it. Profile tells them in the order of their
    partition: what lies behind the last that was told had not been folded when the run ended."""
    ended = max([each.written_at for each in gathered.verdicts], default=0)
    told: dict[int, int] = {}
    silent = []
    for place, verdict in enumerate(gathered.verdicts):
        if _was_told(verdict, gathered):
            told[verdict.partition] = place
        else:
            silent.append((place, verdict))
    for place, verdict in silent:
        heard = gathered.unsaid.get(verdict.fact)
        expires = verdict.expires_at
        at_the_end = verdict.written_at > ended - FOLDED_MS
        if heard is None and at_the_end and place > told.get(verdict.partition, -1):
            findings.in_flight["told"] += 1
        elif (
            heard is None and expires is not None and _ends_at_once(gathered.real(expires), verdict)
        ):
            findings.in_flight["expired"] += 1
        else:
            findings.untold += 1
            late_ms = None if expires is None else gathered.real(expires) - verdict.written_at
            findings.show("untold", verdict, f"{verdict.verdict} {heard} {late_ms} ms")


def _ends_at_once(expires: int, verdict: Verdict) -> bool:
    """Whether its life may have ended before profile had folded it (real ms): what comes out of
    the log after that is not said any more."""
    return expires <= verdict.written_at + FOLDED_MS


def _was_told(verdict: Verdict, gathered: Gathered) -> bool:
    heard = gathered.unsaid.get(verdict.fact)
    if verdict.verdict != "send":
        return heard == (verdict.reason, verdict.retry_at)
    return verdict.trigger in gathered.said or heard == (OVERTAKEN, None)


def _free(sent: Sent, rules: Rules) -> bool:
    return rules.kinds[sent.said.scenario].purpose in rules.free


def _check_budgets(messages: Sequence[Sent], rules: Rules, findings: Findings) -> None:
    for limit in rules.limits:
        counted = [each for each in messages if _counts(each, limit, rules)]
        times = [each.verdict.at for each in counted]
        for place, sent in enumerate(counted):
            before = bisect_right(times, times[place] - limit.span_ms)
            if place + 1 - before > limit.messages and not _free(sent, rules):
                findings.add("budget", sent)


def _counts(sent: Sent, limit: Limit, rules: Rules) -> bool:
    tags = rules.kinds[sent.said.scenario].tags
    return limit.channel in {None, sent.said.channel} and (limit.tag is None or limit.tag in tags)


def _check_arms(
    messages: Sequence[Sent], arms: Mapping[str, list[str]], rules: Rules, findings: Findings
) -> None:
    for sent in messages:
        if _free(sent, rules):
            continue
        own = ("holdout", f"holdout:{sent.said.scenario}")
        # Without an arm in the log nobody could tell whether it was one of those held out.
        unknown = rules.holds_out and "holdout" not in arms
        if unknown or any("held_out" in arms.get(name, ()) for name in own):
            findings.add("holdout", sent)


def _check_night(sent: Sent, diary: Sequence[Entry], rules: Rules, findings: Findings) -> None:
    if rules.quiet is None:
        return
    begin, end, channels = rules.quiet
    if channels and sent.said.channel not in channels:
        return
    wall = datetime.fromtimestamp(sent.verdict.at / 1000, ZoneInfo(_zone(diary, rules.zone)))
    minute = wall.hour * 60 + wall.minute
    quiet = begin <= minute < end if begin <= end else minute >= begin or minute < end
    if quiet:
        findings.add("quiet", sent)


def _zone(diary: Sequence[Entry], default: str) -> str:
    told = [entry for entry in diary if "timezone" in (entry.body.get("traits") or {})]
    if not told:
        return default
    name = max(told, key=lambda entry: entry.at).body["traits"]["timezone"]
    return name if name in _ZONES else default


_ZONES: Final = available_timezones()


def _check_consent(sent: Sent, diary: Sequence[Entry], rules: Rules, findings: Findings) -> None:
    purpose = rules.kinds[sent.said.scenario].purpose
    if purpose in rules.unasked:
        return
    if not _consents(diary, purpose, sent.said.channel, rules):
        findings.add("consent", sent)


def _arrived(entry: Entry, sent: Sent) -> bool:
    return entry.written_at + IN_FLIGHT_MS <= sent.verdict.decided_at


def _consents(diary: Sequence[Entry], purpose: str, channel: str, rules: Rules) -> bool:
    """By the latest word on the channel and the latest on all channels; who leaves a channel does
    for every purpose, and who does not want to be known is written to for none."""
    words: dict[str, tuple[int, bool]] = {}
    paused = [entry for entry in diary if entry.what == "profiling_paused"]
    if paused and max(paused, key=lambda entry: entry.at).body.get("paused", True):
        return False
    for entry in diary:
        if entry.what == "message_unsubscribed":
            about, granted = purpose, False
        elif entry.what == "consent_changed":
            about, granted = entry.body["purpose"], entry.body["granted"]
        else:
            continue
        where = entry.body.get("channel") or "*"
        # of one moment, the denial holds
        if about == purpose and (entry.at, not granted) >= words.get(where, (0, False)):
            words[where] = (entry.at, not granted)
    denied = [words[where][1] for where in (channel, "*") if where in words]
    return not any(denied) and (bool(denied) or purpose not in rules.asked_first)


def _check_stock(
    sent: Sent, items: Mapping[str, list[tuple[int, float]]], findings: Findings
) -> None:
    for item in {*sent.said.items, sent.said.item} - {""}:
        changes = items.get(item, [])
        decided = [stock for at, stock in changes if at <= sent.verdict.decided_at]
        if not decided or decided[-1] > 0:
            continue
        # Sold out: for as long as a decision or recommend must have known?
        begin, end = sent.verdict.decided_at - IN_FLIGHT_MS, sent.said.written_at
        before = [stock for at, stock in changes if at <= begin][-1:]
        lately = [stock for at, stock in changes if begin < at <= end]
        if before and not any(before + lately):
            findings.add("stock", sent)
            return
        findings.in_flight["stock"] += 1


def _check_bought(sent: Sent, diary: Sequence[Entry], rules: Rules, findings: Findings) -> None:
    """A reminder of something that was bought after the customer last showed interest in it: of
    the item it names, and of all whose events it rests on."""
    if not rules.kinds[sent.said.scenario].about_items:
        return
    rests_on = {
        entry.body["item"]
        for entry in diary
        if entry.what in INTERESTS and entry.id in sent.said.evidence
    }
    after = [entry for item in rests_on | {sent.said.item} - {""} for entry in _bought(diary, item)]
    if any(_arrived(entry, sent) for entry in after):
        findings.add("bought", sent)
    elif after:
        findings.in_flight["bought"] += 1


def _bought(diary: Sequence[Entry], item: str) -> list[Entry]:
    """Purchases of an item after the last interest in it."""
    interests = [
        entry.at for entry in diary if entry.what in INTERESTS and entry.body["item"] == item
    ]
    latest = max(interests, default=0)
    return [
        entry
        for entry in diary
        if entry.what == "purchased" and entry.at >= latest and _has(entry, item)
    ]


def _has(entry: Entry, item: str) -> bool:
    return any(line["item"] == item for line in entry.body["lines"])
