"""Which channel a customer answers on: Beta posteriors of what was sent, and a draw. Pure.

Thompson sampling: Russo et al., "A Tutorial on Thompson Sampling" (2018). The draw follows from
the trigger's id, so that a decision that is made again chooses again the same.
"""

from collections.abc import Sequence
from typing import Final

from scipy.special import betaincinv

from services.profile.arbiter.draws import uniform
from services.profile.contact import BOUNCED, Responses, Sent

ANSWERED: Final = (1.0, 4.0)
"""Prior of being answered: as if 1 of 5 messages had been."""
LEFT: Final = (0.5, 99.5)
"""Prior of an unsubscribe or a bounce: 1 of 200."""
OPENED_WEIGHT: Final = 0.25
"""How much of an answer it is that a message was opened and no more."""
DEAD_AFTER: Final = 3
"""Bounces in a row after which nothing is sent that way any more."""
ANSWERED_MEAN: Final = ANSWERED[0] / sum(ANSWERED)


def answered_draw(responses: Responses, seed: str, channel: str) -> float:
    """One draw of the chance that a message on this channel is answered."""
    hits, misses = _counts(responses)
    chance = uniform(seed, "answered", channel)
    return float(betaincinv(ANSWERED[0] + hits, ANSWERED[1] + misses, chance))


def answered_mean(responses: Responses) -> float:
    """The mean chance that a message on this channel is answered."""
    hits, misses = _counts(responses)
    return (ANSWERED[0] + hits) / (sum(ANSWERED) + hits + misses)


def leaves(responses: Responses) -> float:
    """The mean chance that a message on this channel is the one the customer leaves it for."""
    sent = max(responses.sent, responses.unsubscribed + responses.bounced)
    return (LEFT[0] + responses.unsubscribed + responses.bounced) / (sum(LEFT) + sent)


def bounces(sent: Sequence[Sent]) -> dict[str, int]:
    """How many of the newest messages bounced in a row, by channel where any did."""
    found: dict[str, int] = {}
    over: set[str] = set()
    for message in sent:
        if message.channel not in over:
            if message.outcome & BOUNCED:
                found[message.channel] = found.get(message.channel, 0) + 1
            else:
                over.add(message.channel)
    return found


def _counts(responses: Responses) -> tuple[float, float]:
    opened_only = max(0, responses.opened - responses.clicked)
    hits = responses.clicked + OPENED_WEIGHT * opened_only
    hits = min(hits, float(responses.sent))
    return hits, responses.sent - hits
