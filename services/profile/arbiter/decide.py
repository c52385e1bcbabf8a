"""May this be said, now, and how? One pure function over all that competes for one customer.

The order of the rules is the order of what is worse: without consent, to the holdout, twice, too
often, at night, by the wrong channel, instead of something better. The first that objects is the
reason. A verdict of `hold` names when the same question is to be asked again.
"""

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from services.profile.arbiter import channels
from services.profile.arbiter.arms import EVERYBODY, HELD_OUT, NO_ARMS, Assigned, arms_of
from services.profile.arbiter.policy import Basis, Policy
from services.profile.arbiter.quiet import quiet_until
from services.profile.arbiter.standing import Standing
from services.profile.arbiter.windows import FOREVER, Usage, room
from services.profile.consent import denies, grants
from services.profile.contact import Responses, Sent
from shared.events import Verdict

GAP_MS: Final = 30 * 60_000
"""What was outbid is asked about again after that long at the soonest."""
UNKNOWN: Final = Responses()

Reason: TypeAlias = Literal[
    "allowed",
    "consent",
    "holdout",
    "duplicate",
    "expired",
    "cooldown",
    "unreachable",
    "not_worth_it",
    "budget",
    "quiet_hours",
    "outbid",
]


class Candidate(Struct, frozen=True, kw_only=True):
    """A moment that may be spoken of. value: minor units that saying it is expected to bring, None
    where nobody says: then it is said wherever nothing of known worth competes; cooldown_ms: since
    the scenario last spoke; expires_at: epoch ms, when it is too late."""

    trigger_id: str
    scenario: str
    purpose: str
    channels: tuple[str, ...]
    expires_at: int
    value: float | None = None
    tags: frozenset[str] = frozenset()
    cooldown_ms: int = 0
    on_conflict: Literal["hold", "drop"] = "hold"


class Decision(Struct, frozen=True):
    """The verdict on one candidate, and why. score: expected worth on that channel, minor units;
    retry_at: epoch ms; fatigue: the budget that leaves least room, None where there is none; arm:
    `treated`, `held_out`, or `all` where nobody is held out; unrecorded: arms that this decision
    rests on and that are to be stated with it."""

    candidate: Candidate
    verdict: Verdict
    reason: Reason
    channel: str
    score: float = 0.0
    retry_at: int | None = None
    fatigue: Usage | None = None
    arm: str = EVERYBODY
    unrecorded: tuple[Assigned, ...] = ()


class _Way(Struct, frozen=True):
    """One channel that is open: what saying it there is worth, the budget that leaves least room,
    when it is free (None: now) and what it waits for."""

    channel: str
    score: float
    fatigue: Usage | None
    until: int | None = None
    reason: Reason = "allowed"


def arbitrate(
    standing: Standing, candidates: Sequence[Candidate], policy: Policy, now: int
) -> list[Decision]:
    """A verdict for each candidate, in their order. Transactional ones all go, and first, because
    they count; of the others at most one, the one that is worth most (of equals the first by
    trigger id)."""
    judged: dict[int, Decision] = {}
    bidders: list[int] = []
    for place, candidate in enumerate(candidates):
        if candidate.purpose in policy.transactional:
            judged[place] = decision = judge(standing, candidate, policy, now)
            if decision.verdict == "send":
                standing = _once_said(standing, decision, policy, now)
    for place, candidate in enumerate(candidates):
        if place not in judged:
            judged[place] = decision = judge(standing, candidate, policy, now)
            if decision.verdict == "send":
                bidders.append(place)
    if len(bidders) > 1:
        winner = min(bidders, key=lambda at: (-judged[at].score, candidates[at].trigger_id))
        standing = _once_said(standing, judged[winner], policy, now)
        for place in bidders:
            if place != winner:
                judged[place] = _outbid(standing, judged[place], policy, now)
    return [judged[place] for place in range(len(candidates))]


def judge(standing: Standing, candidate: Candidate, policy: Policy, now: int) -> Decision:
    """The verdict on one candidate as if nothing competed."""
    transactional = candidate.purpose in policy.transactional
    basis = policy.basis_of(candidate.purpose)
    allowed = [name for name in candidate.channels if consents(standing, candidate, basis, name)]
    if not allowed:
        return Decision(candidate, "suppress", "consent", candidate.channels[0])
    arms = NO_ARMS
    if not transactional:
        arms = arms_of(standing.customer, candidate.scenario, standing.contact.arms, policy)
    refused = Decision(
        candidate, "suppress", "holdout", allowed[0], arm=arms.arm, unrecorded=arms.unrecorded
    )
    if arms.arm == HELD_OUT:
        return refused
    for message in standing.sent:
        if message.message == candidate.trigger_id:
            return replace(refused, reason="duplicate")
    if candidate.expires_at <= now:
        return replace(refused, reason="expired")
    spoke = standing.contact.spoke.get(candidate.scenario)
    if spoke is not None and spoke + candidate.cooldown_ms > now:
        return replace(refused, reason="cooldown", retry_at=spoke + candidate.cooldown_ms)
    return _soonest(standing, refused, policy, allowed, now, bound=not transactional)


def _soonest(
    standing: Standing,
    refused: Decision,
    policy: Policy,
    allowed: list[str],
    now: int,
    *,
    bound: bool,
) -> Decision:
    """The best channel that is free now, or when the first becomes free. bound: by budgets and by
    what it is worth, as all is but what is transactional."""
    candidate = refused.candidate
    bounced = channels.bounces(standing.sent)
    reachable = [name for name in allowed if bounced.get(name, 0) < channels.DEAD_AFTER]
    if not reachable and bound:
        return replace(refused, reason="unreachable")
    worth = ways = _weigh(standing, candidate, policy, reachable or allowed, now)
    if bound and candidate.value is not None:
        worth = [way for way in ways if way.score > 0.0]
    if not worth:
        best = max(ways, key=lambda way: way.score)
        return replace(_by(best, refused, "suppress"), reason="not_worth_it")
    waits = _when_free(standing, policy, worth, now, bound=bound)
    free = [way for way in waits if way.until is None]
    if free:
        sound = [way for way in free if way.channel not in bounced] or free
        return _by(_preferred(standing, candidate, sound), refused, "send")
    until = min(way.until or 0 for way in waits)
    soonest = [way for way in waits if way.until == until]
    verdict: Verdict = "hold" if until < candidate.expires_at else "suppress"
    retry_at = None if until >= FOREVER else until
    chosen = _preferred(standing, candidate, soonest)
    return replace(_by(chosen, refused, verdict), retry_at=retry_at)


def _by(way: _Way, refused: Decision, verdict: Verdict) -> Decision:
    return replace(
        refused,
        verdict=verdict,
        reason=way.reason,
        channel=way.channel,
        score=way.score,
        fatigue=way.fatigue,
    )


def _weigh(
    standing: Standing, candidate: Candidate, policy: Policy, names: list[str], now: int
) -> list[_Way]:
    """What saying it is worth by channel: the value as far as the channel is answered, less what
    it costs in goodwill; and the budgets, of all channels and of this one."""
    rooms = room(policy.budgets, standing.sent, names, candidate.tags, standing.stretch, now)
    tired = policy.annoyance * standing.stretch
    ways = []
    for name in names:
        responses = standing.contact.responses.get(name, UNKNOWN)
        gain = (candidate.value or 0.0) * channels.answered_mean(responses)
        cost = tired + policy.lost_customer * channels.leaves(responses)
        ways.append(_Way(name, gain / channels.ANSWERED_MEAN - cost, rooms[name]))
    return ways


def _preferred(standing: Standing, candidate: Candidate, ways: Sequence[_Way]) -> _Way:
    """The channel that is likeliest to be answered, as drawn."""
    if len(ways) == 1:
        return ways[0]
    responses = standing.contact.responses
    drawn = [
        channels.answered_draw(
            responses.get(way.channel, UNKNOWN), candidate.trigger_id, way.channel
        )
        for way in ways
    ]
    return ways[drawn.index(max(drawn))]


def _when_free(
    standing: Standing, policy: Policy, ways: Sequence[_Way], now: int, *, bound: bool
) -> list[_Way]:
    """When each channel may be used, and what it waits for first."""
    quiet, found = policy.quiet, []
    mornings: dict[int, int | None] = {}
    for way in ways:
        until, reason = now, way.reason
        if bound and way.fatigue is not None and way.fatigue.free_at > now:
            until, reason = way.fatigue.free_at, "budget"
        asleep = quiet is not None and (not quiet.channels or way.channel in quiet.channels)
        if quiet is not None and asleep and until < FOREVER:
            if until not in mornings:
                mornings[until] = quiet_until(quiet, standing.zone, until)
            morning = mornings[until]
            if morning is not None:
                until, reason = morning, "quiet_hours" if reason == "allowed" else reason
        found.append(way if until <= now else replace(way, until=until, reason=reason))
    return found


def consents(standing: Standing, candidate: Candidate, basis: Basis, channel: str) -> bool:
    """Whether the customer allows this purpose on this channel: a denial of either the channel or
    of all channels stands until a grant lifts it, and so does that of being known at all."""
    if not basis.consent:
        return True
    if not standing.profiled:
        return False
    if basis.opt_in:
        return grants(standing.consents, candidate.purpose, channel)
    return not denies(standing.consents, candidate.purpose, channel)


def _once_said(standing: Standing, decision: Decision, policy: Policy, now: int) -> Standing:
    """The customer once that message has gone out."""
    candidate = decision.candidate
    message = Sent(
        at=now,
        message=candidate.trigger_id,
        channel=decision.channel,
        scenario=candidate.scenario,
        tags=tuple(sorted(candidate.tags)),
        transactional=candidate.purpose in policy.transactional,
    )
    contact = standing.contact
    said = replace(contact, spoke={**contact.spoke, candidate.scenario: now})
    return replace(standing, contact=said, sent=[message, *standing.sent])


def _outbid(said: Standing, decision: Decision, policy: Policy, now: int) -> Decision:
    """What was worth less goes later, where its rule and its life allow."""
    candidate = decision.candidate
    after = judge(said, candidate, policy, now)
    retry_at = max(now + GAP_MS, after.retry_at or 0)
    outbid = replace(decision, verdict="suppress", reason="outbid", fatigue=after.fatigue)
    if candidate.on_conflict == "drop" or after.reason == "duplicate":
        return outbid
    if retry_at >= candidate.expires_at:
        return replace(outbid, retry_at=retry_at)
    return replace(outbid, verdict="hold", retry_at=retry_at)
