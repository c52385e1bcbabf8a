"""What a customer's due time means: what to state, what was passed over, or nothing yet. Pure.

Between the timer loop (or a dry run) and what decides: arms and segments come first, since what is
decided may rest on them; while any of that waits for its fold nothing else is decided.
"""

from msgspec import Struct, field

from services.profile.contact import CONTAMINATED
from services.profile.identity import Identity, OutboxEntry
from services.profile.moments.assessing import assess, newest_position
from services.profile.moments.deciding import Decisions, decide
from services.profile.moments.rules import Rules
from services.profile.moments.stating import arm_entry
from services.profile.moments.waiting import ARMS, NO_SCENARIOS, SEGMENTS


class Fired(Struct):
    """stated: facts that are now in the outbox; decisions: what is still to be stated, with its
    payloads; changed: the identity must be written."""

    stated: list[OutboxEntry] = field(default_factory=list)
    decisions: Decisions = field(default_factory=Decisions)
    changed: bool = False


def fire(identity: Identity, rules: Rules, now: int) -> Fired:
    """Takes up what is due at `now` (epoch ms). The outbox must be empty."""
    due = {each.scenario for each in identity.waiting if each.due <= now}
    fired = Fired()
    if ARMS in due:
        fired.changed = True
        fired.stated += _contaminated(identity, now)
    if SEGMENTS in due:
        fired.changed = True
        position = newest_position(identity)
        fired.stated += assess(identity, rules.book, rules.around, now, position)
    if fired.stated or not _may_decide(identity, due, now):
        return fired
    fired.decisions = decide(identity, rules.book, rules.around, now)
    fired.changed |= fired.decisions.changed
    return fired


def _may_decide(identity: Identity, due: set[str], now: int) -> bool:
    """Whether anything but arms and segments is due: mostly they alone are."""
    holds = identity.profile.contact.holds
    return not due <= NO_SCENARIOS or any(hold.retry_at <= now for hold in holds.values())


def _contaminated(identity: Identity, now: int) -> list[OutboxEntry]:
    """As a visitor the customer was shown what the other arm gets: once said it stands."""
    causes = [each.cause for each in identity.waiting if each.scenario == ARMS]
    identity.waiting = [each for each in identity.waiting if each.scenario != ARMS]
    if identity.profile.contact.contaminated:
        return []
    entry = arm_entry(identity, CONTAMINATED, "true", causes[0], now)
    identity.outbox.append(entry)
    return [entry]
