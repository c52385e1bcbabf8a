"""Whether a moment may begin at all, and whether it has. Pure."""

from services.profile.arbiter.policy import Policy
from services.profile.identity import Identity, stable_id, trigger_id
from services.profile.moments.waiting import Waiting
from services.profile.scenarios.book import Scenario
from services.profile.window import digest


def may_begin(identity: Identity, scenario: Scenario, due: int, policy: Policy) -> str | None:
    """Why not: a stated suppression covers it (`covered`), or the customer wants not to be profiled
    and the purpose rests on consent (`paused`)."""
    profile = identity.profile
    covered = profile.contact.covered
    if covered and covered.get(scenario.name, 0) > due:
        return "covered"
    if profile.component.paused.value and policy.basis_of(scenario.purpose).consent:
        return "paused"
    return None


def is_known(identity: Identity, moment: Waiting) -> bool:
    """Whether this very moment waits, is held, or was decided."""
    return moment in identity.waiting or is_decided(identity, moment)


def is_decided(identity: Identity, moment: Waiting) -> bool:
    """Whether there is a verdict on it, be it to hold it."""
    contact = identity.profile.contact
    if not contact.holds and not contact.stated:
        return False
    known = trigger_id(identity, moment)
    return known in contact.holds or contact.knows(digest(fact_id(known, 1)))


def fact_id(trigger: str, attempt: int) -> str:
    """The id of a verdict: that of its attempt on the trigger."""
    return stable_id(trigger, str(attempt))
