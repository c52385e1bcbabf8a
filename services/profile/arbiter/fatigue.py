"""How tired of messages a customer is, by what became of the latest ones. Pure.

It stretches the windows of all budgets: who ignores what comes hears less, who opens and clicks
soon hears as much as the shop allows, and nobody ever more than that.
"""

from collections.abc import Sequence
from typing import Final

from services.profile.contact import CLICKED, OPENED, UNSUBSCRIBED, Sent

LATEST: Final = 16
"""Messages that are looked at; earlier ones no longer tell."""
PATIENCE: Final = 2
"""Ignored messages that change nothing."""
DOUBLING: Final = 2
"""Further ignored messages that double the windows."""
LONGEST_STRETCH: Final = 16.0
LEFT: Final = 8
"""An unsubscribe tells as much as that many ignored messages: what is left are other channels, and
who has had enough of one is not to hear the same on the next."""
READ: Final = 2
"""Opening one makes up for that many ignored ones; a click for all."""


def stretch(sent: Sequence[Sent]) -> float:
    """How much longer the windows are, 1 to LONGEST_STRETCH. sent: newest first.

    A message counts as ignored from the moment it is sent until it is opened, so waiting alone
    never makes a customer more tired. Transactional ones are read for other reasons.
    """
    tired = 0
    # Those first, then the latest: a flood of parcels makes nobody forget.
    asked = [message for message in sent if not message.transactional]
    for message in reversed(asked[:LATEST]):
        if message.outcome & UNSUBSCRIBED:
            tired += LEFT
        elif message.outcome & CLICKED:
            tired = 0
        elif message.outcome & OPENED:
            tired = max(0, tired - READ)
        else:
            tired += 1
    excess = max(0, tired - PATIENCE)
    return min(float(2.0 ** (excess / DOUBLING)), LONGEST_STRETCH)
