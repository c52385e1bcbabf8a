"""The arbiter: may this be said at all, now, by this channel? One pure function, one answer.

It knows consent and the message budget of a rolling day; it is the only place that decides.
"""

from typing import Final, Literal, NamedTuple

from services.profile.fold import MARKETING, consent_key
from services.profile.registers import Consent
from services.profile.state import Profile
from shared.events import Verdict

DAY_MS: Final = 86_400_000
DAILY_BUDGET: Final = 1

Cause = Literal["allowed", "consent", "fatigue"]


class Decision(NamedTuple):
    """The verdict and why; used: messages sent in the rolling window; retry_at: epoch ms."""

    verdict: Verdict
    reason: Cause
    used: int
    retry_at: int | None = None


def decide(profile: Profile, channel: str, now: int) -> Decision:
    """Whether a marketing message may be sent to this customer at `now` (epoch ms)."""
    recent = [sent.at for sent in profile.contact.sent if sent.at > now - DAY_MS]
    consents = profile.component.consents
    for key in (consent_key(MARKETING, channel), consent_key(MARKETING, None)):
        if consents.get(key, Consent()).denies:
            return Decision("suppress", "consent", len(recent))
    if len(recent) >= DAILY_BUDGET:
        return Decision("suppress", "fatigue", len(recent), min(recent) + DAY_MS)
    return Decision("send", "allowed", len(recent))
