"""The state of one identity: its component and what must not be merged. Pure.

`canonical` is what equality means (DESIGN invariant 1): positions, outbox and caches left out, and
whatever way `state_format` packs it for Redis.
"""

import hashlib
from typing import Any, Final

import msgspec
from msgspec import Struct, field

from services.profile.component import Component
from services.profile.contact import Contact
from services.profile.registers import Touch

STATE_VERSION: Final = 4
LINKED: Final = -1
"""Absorbed up to nowhere: the login is known, nothing has been handed over yet."""


class Profile(Struct, array_like=True):
    """One identity's state.

    owner: the customer who absorbed this anonymous visitor; trail: on an owned visitor, the
    running session's touches, newest first (the counts went to the owner); active_at: its latest
    event time, ms; absorbed: the anonymous ids that logged in as this customer, each with the
    greatest offset (of the visitor's partition) up to which it was absorbed, LINKED where only the
    login is known; contact: of a known customer, what was said and how it was taken; overflowed:
    the event-id window ran over at least once; handed: on a visitor, the customers its facts went
    to, each with the offset of the last one.
    """

    component: Component = field(default_factory=Component)
    owner: str | None = None
    trail: list[Touch] = field(default_factory=list)
    active_at: int = 0
    absorbed: dict[str, int] = field(default_factory=dict)
    contact: Contact = field(default_factory=Contact)
    overflowed: bool = False
    handed: dict[str, int] = field(default_factory=dict)


_encoder = msgspec.msgpack.Encoder()


def canonical(state: Struct) -> bytes:
    """A state, or a part of one, in the one order of its dicts that equality is about."""
    return _encoder.encode(_ordered(msgspec.to_builtins(state)))


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [_ordered(entry) for entry in value]
    return value


def fingerprint(state: Struct) -> str:
    """SHA-256 of the canonical encoding, in hexadecimal."""
    return hashlib.sha256(canonical(state)).hexdigest()
