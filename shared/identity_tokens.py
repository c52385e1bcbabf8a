"""Identity tokens: how a browser proves which customer it speaks for.

The shop's backend signs a short-lived JWT (`sub` the customer id, `exp`, header `kid`); collector
and recommend verify it against the token keys of the key ring. Which algorithm a token may use is
decided by the stored key, never by the token, so no token can choose how it is checked.
"""

import binascii
import math
from dataclasses import dataclass, field
from typing import Any, Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from shared.errors import InvalidInput, Unauthenticated

EDDSA: Final = "EdDSA"
HS256: Final = "HS256"
ALGORITHMS: Final = (EDDSA, HS256)
LONGEST_TOKEN: Final = 4_096
LONGEST_SUBJECT: Final = 128
SHORTEST_SECRET: Final = 32
"""Bytes: RFC 7518 wants an HS256 key at least as long as its hash."""

_SKIP_CLAIMS: Final[Any] = {
    "verify_exp": False,  # checked below against the caller's clock
    "verify_nbf": False,
    "verify_iat": False,
    "verify_aud": False,
    "verify_iss": False,
    "require": ["exp", "sub"],
}
_FORGED: Final = "the identity token is not valid"


@dataclass(frozen=True, slots=True)
class TokenKey:
    """What verifies the tokens of one `kid`: an Ed25519 public key (PEM) or an HS256 secret.

    An HS256 secret also signs, so whoever can read the database can forge HS256 tokens.
    """

    kid: str
    algorithm: str
    verification_key: str = field(repr=False)

    def prepared(self) -> Any:
        """The key as PyJWT takes it. Raises InvalidInput for what cannot verify safely."""
        if self.algorithm == EDDSA:
            return ed25519_public_key(self.verification_key)
        if self.algorithm == HS256:
            secret = self.verification_key.encode()
            if len(secret) < SHORTEST_SECRET:
                raise InvalidInput(f"an HS256 secret has at least {SHORTEST_SECRET} bytes")
            if b"-----BEGIN" in secret or secret.startswith(b"ssh-"):
                raise InvalidInput("that is a public or private key, not an HS256 secret")
            return secret
        raise InvalidInput(f"token keys are {' or '.join(ALGORITHMS)}, not {self.algorithm!r}")


@dataclass(frozen=True, slots=True)
class _Prepared:
    algorithm: str
    key: Any


class TokenVerifier:
    """Verifies identity tokens against a fixed set of keys; pure, the time is an argument."""

    def __init__(self, keys: list[TokenKey]) -> None:
        self._keys = {key.kid: _Prepared(key.algorithm, key.prepared()) for key in keys}

    def subject(self, token: str, now_s: float) -> str:
        """The customer id that the token proves at `now_s` (real epoch seconds).

        Raises Unauthenticated for everything else: forged, expired, not yet valid, unknown kid,
        another algorithm than its key's (`none` included), a subject that is no customer id.
        """
        if len(token) > LONGEST_TOKEN:
            raise Unauthenticated(f"an identity token has at most {LONGEST_TOKEN} characters")
        prepared = self._key_of(token)
        try:
            claims = jwt.decode(
                token, prepared.key, algorithms=[prepared.algorithm], options=_SKIP_CLAIMS
            )
        except jwt.MissingRequiredClaimError as error:
            raise Unauthenticated(f"the identity token has no {error.claim}") from None
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
            raise Unauthenticated(_FORGED) from None
        _check_times(claims, now_s)
        subject = claims["sub"]
        if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT:
            raise Unauthenticated("the identity token's sub is not a customer id")
        return subject

    def _key_of(self, token: str) -> _Prepared:
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError, binascii.Error):
            raise Unauthenticated(_FORGED) from None
        kid = header.get("kid")
        prepared = self._keys.get(kid) if isinstance(kid, str) else None
        if prepared is None:
            raise Unauthenticated("the identity token's kid is not known")
        if header.get("alg") != prepared.algorithm:
            raise Unauthenticated("the identity token's algorithm is not its key's")
        return prepared


def _check_times(claims: dict[str, Any], now_s: float) -> None:
    if not _is_time(claims["exp"]):
        raise Unauthenticated("the identity token's exp is not a time")
    if claims["exp"] <= now_s:
        raise Unauthenticated("the identity token has expired")
    not_before = claims.get("nbf", 0)
    if not _is_time(not_before) or not_before > now_s:
        raise Unauthenticated("the identity token is not valid yet")


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def ed25519_public_key(pem: str) -> Ed25519PublicKey:
    """The key in a PEM text. Raises InvalidInput for anything that is no Ed25519 public key."""
    try:
        key = serialization.load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise InvalidInput("not a public key in PEM form") from None
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidInput("EdDSA token keys are Ed25519 keys")
    return key


def new_ed25519_pair() -> tuple[str, str]:
    """A fresh (private, public) pair in PEM form; Attune keeps the public one only."""
    private = Ed25519PrivateKey.generate()
    private_pem = private.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public_pem = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return private_pem.decode(), public_pem.decode()
