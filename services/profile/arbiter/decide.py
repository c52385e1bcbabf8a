"""May this be said, now, and how? One pure function over all that competes for one customer.

The order of the rules is the order of what is worse: without consent, to the holdout, twice, too
often, at night, by the wrong channel, instead of something better. The first that objects is the
reason. A verdict of `hold` names when the same question is to be asked again.
"""

from collections.abc import Iterator, Sequence
from typing import Final, Literal, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from services.profile.arbiter import channels
from services.profile.arbiter.policy import Basis, Holdout, Policy
from services.profile.arbiter.standing import ALL_CHANNELS, Responses, Sent, Standing
from services.profile.arbiter.windows import FOREVER, free_at, latest, quiet_until, stretch
from services.profile.registers import Consent
from shared.events import Verdict

GAP_MS: Final = 30 * 60_000
"""What was outbid is asked about again after that long at the soonest."""
NOBODY: Final = Consent()

Reason: TypeAlias = Literal[
    "allowed",
    "consent",
    "holdout",
    "duplicate",
    "cooldown",
    "budget",
    "quiet_hours",
    "not_worth_it",
    "outbid",
    "expired",
]


class Candidate(Struct, frozen=True, kw_only=True):
    """A moment that may be spoken of. value: minor units that saying it is expected to bring;
    cooldown_ms: since the scenario last spoke; expires_at: epoch ms, when it is too late."""

    trigger_id: str
    scenario: str
    purpose: str
    channels: tuple[str, ...]
    expires_at: int
    value: float = 0.0
    tags: frozenset[str] = frozenset()
    cooldown_ms: int = 0
    on_conflict: Literal["hold", "drop"] = "hold"


class Decision(NamedTuple):
    """The verdict on one candidate, and why. score: expected worth on that channel, minor units;
    used: messages sent within the tightest budget's window; retry_at: epoch ms."""

    candidate: Candidate
    verdict: Verdict
    reason: Reason
    channel: str
    score: float = 0.0
    retry_at: int | None = None


class _Open(NamedTuple):
    channel: str
    score: float


def arbitrate(
    standing: Standing, candidates: Sequence[Candidate], policy: Policy, now: int
) -> list[Decision]:
    """A verdict for each candidate, in their order. Transactional ones all go; of the others at
    most one, the one that is worth most (of equals the first by trigger id)."""
    judged = [judge(standing, candidate, policy, now) for candidate in candidates]
    bidders = [
        place
        for place, decision in enumerate(judged)
        if decision.verdict == "send" and decision.candidate.purpose not in policy.transactional
    ]
    if len(bidders) > 1:
        winner = min(bidders, key=lambda at: (-judged[at].score, candidates[at].trigger_id))
        said = _said(standing, judged[winner], now)
        for place in bidders:
            if place != winner:
                judged[place] = _outbid(said, candidates[place], judged[place], policy, now)
    return judged


def judge(standing: Standing, candidate: Candidate, policy: Policy, now: int) -> Decision:
    """The verdict on one candidate as if nothing competed."""
    first = candidate.channels[0]

    def no(reason: Reason, retry_at: int | None = None) -> Decision:
        return Decision(candidate, "suppress", reason, first, retry_at=retry_at)

    basis = policy.bases.get(candidate.purpose, Basis(name="consent"))
    allowed = [name for name in candidate.channels if consents(standing, candidate, basis, name)]
    if not allowed:
        return no("consent")
    transactional = candidate.purpose in policy.transactional
    if not transactional and held_out(standing.customer, candidate.scenario, policy):
        return no("holdout")
    if candidate.trigger_id in standing.triggers:
        return no("duplicate")
    if candidate.expires_at <= now:
        return no("expired")
    again = standing.decided.get(candidate.scenario, -candidate.cooldown_ms) + candidate.cooldown_ms
    if again > now:
        return no("cooldown", again)
    if transactional:
        best = max(_scores(standing, candidate, policy, allowed), key=lambda each: each.score)
        return Decision(candidate, "send", "allowed", best.channel, best.score)
    return _soonest(standing, candidate, policy, allowed, now)


def _soonest(
    standing: Standing, candidate: Candidate, policy: Policy, allowed: list[str], now: int
) -> Decision:
    """The best channel that is free now, or when the first becomes free."""
    worth = [each for each in _scores(standing, candidate, policy, allowed) if each.score > 0.0]
    if not worth:
        return Decision(candidate, "suppress", "not_worth_it", allowed[0])
    waits = [(*_free(standing, candidate, policy, each.channel, now), each) for each in worth]
    free = [each for until, _, each in waits if until is None]
    if free:
        best = max(free, key=lambda each: each.score)
        return Decision(candidate, "send", "allowed", best.channel, best.score)
    until, reason, soonest = min(waits, key=lambda wait: (wait[0] or 0, -wait[2].score))
    verdict: Verdict = "hold" if until is not None and until < candidate.expires_at else "suppress"
    retry_at = None if until is None or until >= FOREVER else until
    return Decision(candidate, verdict, reason, soonest.channel, soonest.score, retry_at)


def _free(
    standing: Standing, candidate: Candidate, policy: Policy, channel: str, now: int
) -> tuple[int | None, Reason]:
    """When this channel may be used, None for now; what it waits for last."""
    factor = stretch(standing.ignored())
    until = latest(
        free_at(budget, standing.sent, channel, candidate.tags, factor) for budget in policy.budgets
    )
    reason: Reason = "budget"
    if until is None or until <= now:
        until, reason = now, "allowed"
    quiet = policy.quiet
    if quiet is not None and until < FOREVER and (not quiet.channels or channel in quiet.channels):
        ends = quiet_until(quiet, ZoneInfo(standing.zone or policy.zone), until)
        if ends is not None:
            return ends, "quiet_hours" if reason == "allowed" else reason
    return (None, "allowed") if until <= now else (until, reason)


def _scores(
    standing: Standing, candidate: Candidate, policy: Policy, names: list[str]
) -> Iterator[_Open]:
    """What saying it is worth by channel: the value as far as this channel is answered, less what
    it costs in goodwill."""
    tired = stretch(standing.ignored())
    for name in names:
        responses = standing.responses.get(name, Responses())
        answered = channels.answered(responses, candidate.trigger_id, name)
        gain = candidate.value * answered / channels.ANSWERED_MEAN
        cost = policy.annoyance * tired + policy.lost_customer * channels.leaves(responses)
        yield _Open(name, gain - cost)


def consents(standing: Standing, candidate: Candidate, basis: Basis, channel: str) -> bool:
    """Whether the customer allows this purpose on this channel: a denial of either the channel or
    of all channels stands until a grant lifts it."""
    if not basis.consent:
        return True
    keys = (f"{candidate.purpose}|{channel}", f"{candidate.purpose}|{ALL_CHANNELS}")
    found = [standing.consents.get(key, NOBODY) for key in keys]
    if any(consent.denies for consent in found):
        return False
    return not basis.opt_in or any(consent.allows for consent in found)


def held_out(customer: str, scenario: str, policy: Policy) -> bool:
    """Whether the customer is of those who get nothing, at all or of this scenario. The arm follows
    from the customer and the salt alone: it never changes."""
    own = policy.scenario_holdouts.get(scenario)
    return _drawn(policy.holdout, customer, "") or (
        own is not None and _drawn(own, customer, scenario)
    )


def _drawn(holdout: Holdout, customer: str, scenario: str) -> bool:
    return channels.uniform(holdout.salt, scenario, customer) < holdout.share


def _said(standing: Standing, decision: Decision, now: int) -> Standing:
    """The customer once that message has gone out."""
    candidate = decision.candidate
    message = Sent(
        at=now, channel=decision.channel, scenario=candidate.scenario, tags=candidate.tags
    )
    return replace(standing, sent=(message, *standing.sent))


def _outbid(
    said: Standing, candidate: Candidate, decision: Decision, policy: Policy, now: int
) -> Decision:
    """What was worth less goes later, where its rule and its life allow."""
    after = judge(said, candidate, policy, now)
    retry_at = max(now + GAP_MS, after.retry_at or 0)
    if candidate.on_conflict == "drop" or retry_at >= candidate.expires_at:
        return decision._replace(verdict="suppress", reason="outbid", retry_at=None)
    return decision._replace(verdict="hold", reason="outbid", retry_at=retry_at)
