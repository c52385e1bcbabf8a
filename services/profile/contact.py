"""What was said to a customer, how it was taken, and what follows for what may be said. Pure.

Part of a customer's state, folded from facts alone: verdicts of the arbiter, what marketing tools
report back, arms, segments and stage. Nothing of it is merged: visitors are not written to.
Times are epoch ms; the only clock is that of the facts.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from msgspec import Struct, field
from msgspec.structs import replace

from shared import events as facts

SENT_KEPT: Final = 64
SENT_MS: Final = 90 * 86_400_000
HOLDS_KEPT: Final = 16
STATED_KEPT: Final = 64
CHANNELS_KEPT: Final = 16
SEGMENTS_KEPT: Final = 128
NAMES_KEPT: Final = 256
"""Scenarios and experiments remembered by name."""

NO_ANSWER: Final = 0
OPENED: Final = 1
CLICKED: Final = 2
BOUNCED: Final = 4
UNSUBSCRIBED: Final = 8
_TELLS: Final[dict[type[facts.Fact], int]] = {
    facts.MessageSent: NO_ANSWER,
    facts.MessageOpened: OPENED,
    # Who clicks has opened it, whether or not the tool could see that.
    facts.MessageClicked: OPENED | CLICKED,
    facts.MessageBounced: BOUNCED,
    facts.MessageUnsubscribed: UNSUBSCRIBED,
}

CONTAMINATED: Final = "contaminated"
"""The experiment whose arm says so."""
_COOLDOWN: Final = "cooldown"


class Sent(Struct, array_like=True, frozen=True):
    """One message that was sent, or that a marketing tool says it sent by itself.

    message: the trigger's id, or what the tool calls it; channel: "" where nobody has said it yet;
    scenario: "" for the tool's own; tags: sorted; outcome: the bits OPENED to UNSUBSCRIBED, so the
    order in which a tool reports does not matter.
    """

    at: int
    message: str
    channel: str
    scenario: str = ""
    tags: tuple[str, ...] = ()
    transactional: bool = False
    outcome: int = NO_ANSWER

    @property
    def answered(self) -> bool:
        """Whether it was opened or clicked."""
        return bool(self.outcome & (OPENED | CLICKED))


class Hold(Struct, array_like=True, frozen=True):
    """A trigger that waits: asked of the arbiter again at retry_at, up to expires_at.

    attempt: how often it was decided so far; cause, subject, item, due, at: as in `Waiting`;
    channel: the first that was asked.
    """

    scenario: str
    retry_at: int
    expires_at: int
    attempt: int
    cause: str
    due: int
    at: int
    subject: str = ""
    item: str = ""
    channel: str = ""


class Responses(Struct, array_like=True, frozen=True):
    """How messages of one channel were taken, as counts; each counts once in each."""

    sent: int = 0
    opened: int = 0
    clicked: int = 0
    unsubscribed: int = 0
    bounced: int = 0


class Stated(Struct, array_like=True, frozen=True):
    """A verdict that was folded: the digest (64 bits) of its fact's id, and at which offset.

    Only the first fact with an id ever speaks, however late another comes.
    """

    mark: int
    offset: int


class Contact(Struct, array_like=True):
    """All of it. sent: newest first, at most SENT_KEPT of the last SENT_MS; holds: by trigger id;
    responses: by channel; spoke: scenario → when it last sent; covered: scenario → until when a
    suppression that was stated covers its further moments, which are then passed over in silence;
    stated: newest last, at most STATED_KEPT; arms: experiment → arm, the first one for good;
    contaminated: was shown, as a visitor, what the other arm gets; segments: name → since when;
    stage: of the journey, and since when.
    """

    sent: list[Sent] = field(default_factory=list)
    holds: dict[str, Hold] = field(default_factory=dict)
    responses: dict[str, Responses] = field(default_factory=dict)
    spoke: dict[str, int] = field(default_factory=dict)
    covered: dict[str, int] = field(default_factory=dict)
    stated: list[Stated] = field(default_factory=list)
    arms: dict[str, str] = field(default_factory=dict)
    contaminated: bool = False
    segments: dict[str, int] = field(default_factory=dict)
    stage: str = ""
    stage_since: int = 0

    def knows(self, mark: int) -> bool:
        """Whether a verdict whose fact's id has that digest was folded, as far as is remembered."""
        return any(stated.mark == mark for stated in self.stated)

    def has_sent(self, trigger_id: str) -> bool:
        """Whether that trigger went out, as far as is remembered: nothing can be decided of it."""
        return any(sent.message == trigger_id and sent.scenario for sent in self.sent)


def note_decided(
    contact: Contact,
    fact: facts.MessageDecided,
    mark: int,
    offset: int,
    *,
    withdrawn: bool = False,
) -> None:
    """A verdict: it ends the trigger's hold or begins one, and a send counts from now on; but not
    one that will not be said, as consent was withdrawn before the log had it."""
    contact.stated.append(Stated(mark, offset))
    del contact.stated[:-STATED_KEPT]
    contact.holds.pop(fact.trigger_id, None)
    if fact.verdict == "send":
        if not withdrawn:
            _note_sent(contact, fact)
    elif fact.verdict == "hold":
        _note_hold(contact, fact)
    elif fact.reason == _COOLDOWN and fact.retry_at is not None:
        covered = contact.covered
        for scenario in [name for name, until in covered.items() if until <= fact.occurred_at]:
            del covered[scenario]
        _note_latest(covered, fact.scenario, fact.retry_at)


def _note_sent(contact: Contact, fact: facts.MessageDecided) -> None:
    _note_latest(contact.spoke, fact.scenario, fact.occurred_at)
    heard = _find(contact, fact.trigger_id)
    message = Sent(
        at=fact.occurred_at,
        message=fact.trigger_id,
        channel=fact.channel,
        scenario=fact.scenario,
        tags=tuple(sorted(set(fact.tags))),
        transactional=fact.transactional,
        outcome=NO_ANSWER if heard is None else heard.outcome,
    )
    _put(contact, heard, message)


def _note_hold(contact: Contact, fact: facts.MessageDecided) -> None:
    # A hold that names no time would never be asked again: nothing is to be held then.
    if fact.retry_at is None or fact.expires_at is None:
        return
    due = fact.occurred_at if fact.due is None else fact.due
    holds = contact.holds
    holds[fact.trigger_id] = Hold(
        scenario=fact.scenario,
        retry_at=fact.retry_at,
        expires_at=fact.expires_at,
        attempt=fact.attempt,
        cause=fact.cause or "",
        due=due,
        at=due if fact.moment_at is None else fact.moment_at,
        subject=fact.subject,
        item=fact.item,
        channel=fact.channel,
    )
    while len(holds) > HOLDS_KEPT:
        del holds[min(holds, key=lambda trigger: (holds[trigger].expires_at, trigger))]


def note_response(contact: Contact, fact: facts.MessageFact) -> None:
    """What a marketing tool reports, in any order and as often as it likes.

    A message that is no trigger's is one the tool sent by itself: it counts as sent from the first
    that is heard of it.
    """
    bits, channel = _TELLS[type(fact)], fact.channel or ""
    standing = _find(contact, fact.message)
    if standing is None:
        message = Sent(fact.occurred_at, fact.message, channel, outcome=bits)
    else:
        message = replace(
            standing,
            at=standing.at if standing.scenario else min(standing.at, fact.occurred_at),
            channel=standing.channel or channel,
            outcome=standing.outcome | bits,
        )
    if message != standing:
        _put(contact, standing, message)


def note_arm(contact: Contact, fact: facts.ArmAssigned) -> None:
    """The first arm of an experiment stands for good; that a customer was contaminated too."""
    if fact.experiment == CONTAMINATED:
        contact.contaminated = True
    elif len(contact.arms) < NAMES_KEPT:
        contact.arms.setdefault(fact.experiment, fact.arm)


def note_segment(contact: Contact, fact: facts.SegmentEntered | facts.SegmentLeft) -> None:
    """Membership as the log says it last."""
    segments = contact.segments
    if isinstance(fact, facts.SegmentLeft):
        segments.pop(fact.segment, None)
    else:
        segments.setdefault(fact.segment, fact.occurred_at)
        _keep_latest(segments, SEGMENTS_KEPT)


def note_stage(contact: Contact, fact: facts.StageChanged) -> None:
    """The stage as the log says it last."""
    if fact.stage != contact.stage:
        contact.stage, contact.stage_since = fact.stage, fact.occurred_at


def contact_of(spoke: Mapping[str, int], sends: Iterable[int]) -> Contact:
    """The contact of a state of before version 4, which knew one scenario and one channel.

    spoke: scenario → when it was last decided, whatever the verdict was.
    """
    sent = [Sent(at, "", "email", "cart_abandoned") for at in sends]
    return Contact(sent=sent, spoke=dict(spoke))


def _find(contact: Contact, message: str) -> Sent | None:
    return next((sent for sent in contact.sent if sent.message == message), None)


def _put(contact: Contact, standing: Sent | None, message: Sent) -> None:
    """Puts a message in the place of what was known of it, and counts what is new."""
    sent = [other for other in contact.sent if other is not standing]
    sent.append(message)
    sent.sort(key=lambda each: (each.at, each.message), reverse=True)
    oldest = sent[0].at - SENT_MS
    contact.sent = [each for each in sent[:SENT_KEPT] if each.at > oldest]
    if message.channel:
        counted = standing if standing is not None and standing.channel else None
        _count(contact.responses, message, counted)


def _count(responses: dict[str, Responses], message: Sent, counted: Sent | None) -> None:
    """Adds to its channel's counts what was not yet counted of a message."""
    new = message.outcome & ~(0 if counted is None else counted.outcome)
    before = responses.get(message.channel, Responses())
    responses[message.channel] = Responses(
        sent=before.sent + (counted is None),
        opened=before.opened + bool(new & OPENED),
        clicked=before.clicked + bool(new & CLICKED),
        unsubscribed=before.unsubscribed + bool(new & UNSUBSCRIBED),
        bounced=before.bounced + bool(new & BOUNCED),
    )
    while len(responses) > CHANNELS_KEPT:
        del responses[min(responses, key=lambda name: (responses[name].sent, name))]


def _note_latest(times: dict[str, int], name: str, at: int) -> None:
    times[name] = max(times.get(name, 0), at)
    _keep_latest(times, NAMES_KEPT)


def _keep_latest(times: dict[str, Any], kept: int) -> None:
    while len(times) > kept:
        del times[min(times, key=lambda name: (times[name], name))]
