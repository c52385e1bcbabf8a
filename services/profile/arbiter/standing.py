"""What the arbiter knows of one customer: consents, what was said, and how it was taken. Pure."""

from collections.abc import Sequence
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from services.profile.arbiter.fatigue import stretch
from services.profile.arbiter.quiet import zone_of
from services.profile.component import Component
from services.profile.consent import is_profiled
from services.profile.contact import Contact, Sent
from services.profile.registers import Consent

TIMEZONE: Final = "timezone"
"""The trait that names the customer's own time zone (IANA)."""


class Standing(Struct, frozen=True, kw_only=True):
    """One customer at the moment of a decision; borrows what it is made of, and changes nothing.

    profiled: False where the customer does not want to be known; sent: newest first, those of the
    contact and what this very decision has added; stretch: how much longer budgets' windows are.
    """

    customer: str
    zone: ZoneInfo
    consents: dict[str, Consent]
    contact: Contact
    sent: Sequence[Sent]
    stretch: float = 1.0
    profiled: bool = True


def standing_of(customer: str, component: Component, contact: Contact, zone: str) -> Standing:
    """The standing of a customer. zone: the shop's, where the customer's own is not known."""
    trait = component.traits.get(TIMEZONE)
    return Standing(
        customer=customer,
        zone=zone_of(None if trait is None else trait.value, zone),
        consents=component.consents,
        contact=contact,
        sent=contact.sent,
        stretch=stretch(contact.sent),
        profiled=is_profiled(component),
    )
