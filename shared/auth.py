"""Who may call: API keys with scopes, and the key ring that collector and recommend ask.

The ring is a snapshot in memory of what SQL holds (shared/auth_store.py), refreshed every two
seconds: checking a request costs no I/O, and a revoked key stops working within five seconds.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, cast

from shared.errors import Forbidden, InvalidInput, Unauthenticated, Unavailable
from shared.identity_tokens import TokenKey, TokenVerifier

Kind: TypeAlias = Literal["server", "browser"]
KINDS: Final = ("server", "browser")

EVENTS: Final = "events"
IDENTIFY: Final = "identify"
RECOMMEND: Final = "recommend"
CUSTOMERS: Final = "customers"
ADMIN: Final = "admin"
SCOPES: Final = (EVENTS, IDENTIFY, RECOMMEND, CUSTOMERS, ADMIN)
BROWSER_SCOPES: Final = (EVENTS, RECOMMEND)
"""All a browser key may hold: everybody who opens the shop's page can read such a key."""
DEFAULT_SCOPES: Final[dict[Kind, tuple[str, ...]]] = {
    "server": (EVENTS, IDENTIFY, RECOMMEND),
    "browser": BROWSER_SCOPES,
}

REFRESH_S: Final = 2.0
LOAD_TIMEOUT_S: Final = 2.0
LONGEST_KEY: Final = 128

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever presented a valid key."""

    key_id: str
    kind: Kind
    scopes: frozenset[str]

    def require(self, scope: str) -> None:
        """Raises Forbidden unless the key holds the scope."""
        if scope not in self.scopes:
            raise Forbidden(f"this key lacks the scope {scope!r}")

    @property
    def may_identify(self) -> bool:
        """Whether its word on who a customer is counts as proof."""
        return self.kind == "server" and IDENTIFY in self.scopes


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key at rest: `digest` is the SHA-256 of the whole key, whose secret has 256 random bits
    (so that no slow hash is needed)."""

    id: str
    kind: Kind
    scopes: frozenset[str]
    digest: bytes = field(repr=False)
    name: str = ""


def new_api_key(kind: str, scopes: Iterable[str] = (), name: str = "") -> tuple[str, ApiKey]:
    """A fresh key as (what its owner presents, what is kept). Without scopes: the kind's default.

    Raises InvalidInput for an unknown kind or scope, or one that a browser key must not have.
    """
    if kind not in KINDS:
        raise InvalidInput(f"a key is of kind {' or '.join(KINDS)}, not {kind!r}")
    kind = cast(Kind, kind)
    granted = frozenset(scopes) or frozenset(DEFAULT_SCOPES[kind])
    if unknown := sorted(granted - set(SCOPES)):
        raise InvalidInput(f"unknown scope {unknown[0]!r}; scopes are {', '.join(SCOPES)}")
    if kind == "browser" and (refused := sorted(granted - set(BROWSER_SCOPES))):
        raise InvalidInput(f"a browser key is public and cannot have the scope {refused[0]!r}")
    identifier = secrets.token_hex(6)
    presented = f"atn_{kind}_{identifier}_{secrets.token_urlsafe(32)}"
    return presented, ApiKey(identifier, kind, granted, digest_of(presented), name)


def digest_of(presented: str) -> bytes:
    """What is kept of a key."""
    return hashlib.sha256(presented.encode()).digest()


def id_of(presented: str) -> str:
    """The id inside `atn_<kind>_<id>_<secret>`. Raises Unauthenticated for another shape."""
    parts = presented.split("_", 3) if len(presented) <= LONGEST_KEY else []
    if len(parts) != 4 or parts[0] != "atn" or parts[1] not in KINDS or not all(parts):
        raise Unauthenticated("that is not an Attune key")
    return parts[2]


def presented_key(authorization: str | None, explicit: str | None = None) -> str:
    """The key in an Authorization header (Bearer, or Basic with the key as user name), else the
    one given explicitly, such as `?key=`. Raises Unauthenticated where there is none."""
    if not authorization:
        if not explicit:
            raise Unauthenticated("a key is required: Authorization: Bearer or Basic, or ?key=")
        return explicit
    scheme, _, credentials = authorization.partition(" ")
    credentials = credentials.strip()
    if scheme.lower() == "bearer" and credentials:
        return credentials
    if scheme.lower() == "basic" and credentials:
        try:
            return base64.b64decode(credentials, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            raise Unauthenticated("the Basic credentials are not base64") from None
    raise Unauthenticated("Authorization is Bearer <key> or Basic <key as user name>")


@dataclass(frozen=True, slots=True)
class KeySnapshot:
    """Everything valid at one moment: revoked keys are absent."""

    api_keys: tuple[ApiKey, ...] = ()
    token_keys: tuple[TokenKey, ...] = ()


Loader: TypeAlias = Callable[[], Awaitable[KeySnapshot]]


class KeyRing:
    """The keys in force. Methods that check do no I/O and take constant time in the secret.

    While the database does not answer, the last snapshot stays in force (revoking needs the
    database as well) and `age_s` tells how old it is.
    """

    def __init__(self, snapshot: KeySnapshot | None = None) -> None:
        self._snapshot: KeySnapshot | None = None
        self._keys: dict[str, ApiKey] = {}
        self._verifier = TokenVerifier([])
        self._replaced_at = 0.0
        if snapshot is not None:
            self.replace(snapshot)

    @property
    def loaded(self) -> bool:
        """Whether keys were read at least once."""
        return self._snapshot is not None

    @property
    def age_s(self) -> float:
        """Seconds since the keys were last read; infinite before the first time."""
        return time.monotonic() - self._replaced_at if self.loaded else float("inf")

    def replace(self, snapshot: KeySnapshot) -> None:
        """Put a newer snapshot in force. An unusable token key is left out, and said so."""
        self._replaced_at = time.monotonic()
        if snapshot == self._snapshot:
            return
        self._keys = {key.id: key for key in snapshot.api_keys}
        self._verifier = TokenVerifier(_usable(snapshot.token_keys))
        self._snapshot = snapshot

    def authenticate(self, authorization: str | None, explicit: str | None = None) -> Principal:
        """Who presents this key. Raises Unauthenticated, or Unavailable before the first load."""
        presented = presented_key(authorization, explicit)
        if not self.loaded:
            raise Unavailable("keys are not loaded yet")
        key = self._keys.get(id_of(presented))
        # surrogates from odd header bytes cannot be hashed, and no key has them
        digest = digest_of(presented) if presented.isascii() else b""
        if key is None or not hmac.compare_digest(digest, key.digest):
            raise Unauthenticated("that key is not valid")
        return Principal(key.id, key.kind, key.scopes)

    def subject(self, token: str, now_s: float | None = None) -> str:
        """The customer an identity token proves (`now_s`: real epoch seconds, None for now).

        Raises Unauthenticated (see TokenVerifier), or Unavailable before the first load.
        """
        if not self.loaded:
            raise Unavailable("keys are not loaded yet")
        return self._verifier.subject(token, time.time() if now_s is None else now_s)


def _usable(keys: Iterable[TokenKey]) -> list[TokenKey]:
    usable = []
    for key in keys:
        try:
            key.prepared()
        except InvalidInput as error:
            _logger.warning("token key left out", extra={"kid": key.kid, "reason": str(error)})
        else:
            usable.append(key)
    return usable


async def refresh_once(ring: KeyRing, load: Loader) -> bool:
    """Read the keys once; False, with a log line, where that fails or takes too long."""
    try:
        ring.replace(await asyncio.wait_for(load(), LOAD_TIMEOUT_S))
    except Exception as error:  # whatever the driver raises, the last snapshot stays in force
        _logger.warning(
            "keys not refreshed", extra={"error": type(error).__name__, "age_s": ring.age_s}
        )
        return False
    return True


@asynccontextmanager
async def open_key_ring(load: Loader, *, refresh_s: float = REFRESH_S) -> AsyncIterator[KeyRing]:
    """A ring that keeps itself fresh until the context ends.

    The first load is tried before the context starts; where it fails the ring refuses callers
    with Unavailable until a later load succeeds.
    """
    ring = KeyRing()
    await refresh_once(ring, load)

    async def keep_fresh() -> None:
        while True:
            await asyncio.sleep(refresh_s)
            await refresh_once(ring, load)

    task = asyncio.create_task(keep_fresh(), name="key-ring")
    try:
        yield ring
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
