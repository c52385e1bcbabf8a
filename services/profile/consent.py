"""What a customer has said yes or no to, by purpose and channel. Pure.

Asked by the arbiter before a decision, and once more where a decision comes out of the log: in
between somebody may have unsubscribed.
"""

from collections.abc import Mapping
from typing import Final

from services.profile.component import Component
from services.profile.fold import ANY_PURPOSE, consent_key
from services.profile.registers import Consent
from services.profile.view import denies_profiling
from shared.events import MessageDecided

ASKS_CONSENT: Final = frozenset(["consent", "legitimate_interest"])
"""Legal bases that a denial takes away."""
NOTHING_SAID: Final = Consent()


def denies(consents: Mapping[str, Consent], purpose: str, channel: str) -> bool:
    """Whether a denial of the channel or of all channels stands, be it of this purpose or, by an
    unsubscribe, of all purposes; each until this purpose is granted there again."""
    if not consents:
        return False
    return _denied(consents, purpose, channel) or _denied(consents, purpose, None)


def _denied(consents: Mapping[str, Consent], purpose: str, channel: str | None) -> bool:
    own = consents.get(consent_key(purpose, channel), NOTHING_SAID)
    left = consents.get(consent_key(ANY_PURPOSE, channel), NOTHING_SAID)
    denied = max(own.denied, left.denied)
    return denied > 0 and own.granted <= denied


def grants(consents: Mapping[str, Consent], purpose: str, channel: str) -> bool:
    """Whether this purpose was granted, on the channel or on all, and no denial stands."""
    keys = consent_key(purpose, channel), consent_key(purpose, None)
    granted = any(key in consents and consents[key].allows for key in keys)
    return granted and not denies(consents, purpose, channel)


def is_profiled(component: Component) -> bool:
    """Whether the customer wants to be known at all."""
    return not component.paused.value and not denies_profiling(component)


def is_withdrawn(component: Component, fact: MessageDecided) -> bool:
    """Whether the log has a no from before this decision to send: then it is not said any more."""
    if fact.verdict != "send" or fact.basis not in ASKS_CONSENT:
        return False
    return not is_profiled(component) or denies(component.consents, fact.purpose, fact.channel)
