"""Who gets nothing, so that what messages do can be measured: arms of customers. Pure.

An arm follows from the salt and the customer alone, and once it has been recorded (a fact
`arm_assigned`, folded into `contact.arms`) it stands, whatever becomes of shares and salts.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from services.profile.arbiter.draws import uniform
from services.profile.arbiter.policy import Holdout, Policy

HELD_OUT: Final = "held_out"
TREATED: Final = "treated"
EVERYBODY: Final = "all"
"""The arm where nothing is held out."""
GLOBAL: Final = "holdout"
"""The experiment over all scenarios; `holdout:<scenario>` is that of one."""


class Assigned(NamedTuple):
    """An arm that a decision rests on and that no fact has recorded yet."""

    experiment: str
    arm: str


class Arms(NamedTuple):
    """The arm that holds for one scenario, and what is to be recorded with the decision."""

    arm: str
    unrecorded: tuple[Assigned, ...]


NO_ARMS: Final = Arms(EVERYBODY, ())


def arms_of(customer: str, scenario: str, recorded: Mapping[str, str], policy: Policy) -> Arms:
    """Held out where the customer is held out of everything or of this scenario."""
    arm, unrecorded = EVERYBODY, []
    experiments = ((GLOBAL, policy.holdout), (experiment_of(scenario), _own(scenario, policy)))
    for experiment, holdout in experiments:
        standing = recorded.get(experiment)
        if standing is None and holdout.share <= 0.0:
            continue
        arm = standing or _draw(customer, experiment, holdout)
        if standing is None:
            unrecorded.append(Assigned(experiment, arm))
        if arm == HELD_OUT:
            break
    return Arms(arm, tuple(unrecorded))


def conflicts(
    anonymous: str, customer: str, policy: Policy, recorded: Mapping[str, str] | None = None
) -> bool:
    """Whether a visitor's own draw of the global holdout differs from the arm of the customer whom
    it turns out to be. What the visitor was shown then belongs to the other arm: the customer is
    contaminated, and left out of reports. `recorded`: the customer's arms so far."""
    known = (recorded or {}).get(GLOBAL) or _draw(customer, GLOBAL, policy.holdout)
    return known != _draw(anonymous, GLOBAL, policy.holdout)


def experiment_of(scenario: str) -> str:
    """The experiment of a scenario's own holdout."""
    return f"{GLOBAL}:{scenario}"


def _own(scenario: str, policy: Policy) -> Holdout:
    return policy.scenario_holdouts.get(scenario, _NOBODY)


def _draw(identity: str, experiment: str, holdout: Holdout) -> str:
    drawn = uniform(holdout.salt, experiment, identity)
    return HELD_OUT if drawn < holdout.share else TREATED


_NOBODY: Final = Holdout()
