"""Which channel a customer answers on: Beta posteriors of what was sent, and a draw. Pure.

The draw of a decision is a number in [0, 1) that follows from the trigger's id, so that a decision
that is made again chooses again the same.
"""

import hashlib
from typing import Final

from scipy.special import betaincinv

from services.profile.arbiter.standing import Responses

ANSWERED: Final = (1.0, 4.0)
"""Prior of being answered: as if 1 of 5 messages had been."""
LEFT: Final = (0.5, 99.5)
"""Prior of an unsubscribe: 1 of 200."""
ANSWERED_MEAN: Final = ANSWERED[0] / sum(ANSWERED)


def uniform(seed: str, *names: str) -> float:
    """A number in (0, 1) that follows from the seed and the names alone."""
    digest = hashlib.blake2b("\x1f".join((seed, *names)).encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") + 0.5) / 2.0**64


def answered(responses: Responses, seed: str, channel: str) -> float:
    """One draw of the chance that a message on this channel is clicked."""
    hits = min(responses.clicked, responses.sent)
    chance = uniform(seed, "answered", channel)
    return float(betaincinv(ANSWERED[0] + hits, ANSWERED[1] + responses.sent - hits, chance))


def leaves(responses: Responses) -> float:
    """The mean chance that a message on this channel is the one the customer leaves it for."""
    lost = min(responses.unsubscribed + responses.bounced, responses.sent)
    return (LEFT[0] + lost) / (sum(LEFT) + responses.sent)
