"""Identity tokens: only what the stored key's own algorithm signed, and only while it lasts."""

import base64
import hashlib
import hmac
import json

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed448, rsa
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidInput, Unauthenticated
from shared.identity_tokens import (
    EDDSA,
    HS256,
    LONGEST_TOKEN,
    TokenKey,
    TokenVerifier,
    ed25519_public_key,
    new_ed25519_pair,
)

NOW = 1_800_000_000
SECRET = "s" * 43
PRIVATE, PUBLIC = new_ed25519_pair()
OTHER_PRIVATE, _ = new_ed25519_pair()
VERIFIER = TokenVerifier([TokenKey("ed", EDDSA, PUBLIC), TokenKey("hs", HS256, SECRET)])


def token(
    key: str = PRIVATE, algorithm: str | None = EDDSA, kid: object = "ed", **claims: object
) -> str:
    body = {"sub": "customer-1", "exp": NOW + 60} | claims
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode(
        {name: value for name, value in body.items() if value is not ...},
        key,
        algorithm=algorithm,
        headers=headers,
    )


def encoded(part: object) -> bytes:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")


def hand_made(header: dict[str, object], claims: dict[str, object], key: bytes = b"") -> str:
    """A token that no library agrees to make."""
    signed = encoded(header) + b"." + encoded(claims)
    signature = hmac.new(key, signed, hashlib.sha256).digest() if key else b""
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


CLAIMS: dict[str, object] = {"sub": "customer-1", "exp": NOW + 60}


def test_a_signed_token_proves_its_subject() -> None:
    assert VERIFIER.subject(token(), NOW) == "customer-1"
    assert VERIFIER.subject(token(SECRET, HS256, "hs"), NOW) == "customer-1"


REFUSED = {
    "forged with another key": token(OTHER_PRIVATE),
    "forged with another secret": token("x" * 43, HS256, "hs"),
    "expired": token(exp=NOW - 1),
    "expiring now": token(exp=NOW),
    "without exp": token(exp=...),
    "exp is infinite": hand_made(
        {"alg": "HS256", "kid": "hs"}, {**CLAIMS, "exp": float("inf")}, SECRET.encode()
    ),
    "exp is a text": hand_made(
        {"alg": "HS256", "kid": "hs"}, {**CLAIMS, "exp": "2999"}, SECRET.encode()
    ),
    "exp is a boolean": hand_made(
        {"alg": "HS256", "kid": "hs"}, {**CLAIMS, "exp": True}, SECRET.encode()
    ),
    "not valid yet": token(nbf=NOW + 30),
    "without sub": token(sub=...),
    "sub is empty": token(sub=""),
    "sub is a number": hand_made(
        {"alg": "HS256", "kid": "hs"}, {**CLAIMS, "sub": 5}, SECRET.encode()
    ),
    "sub is too long": token(sub="x" * 129),
    "without kid": token(kid=None),
    "unknown kid": token(kid="nobody"),
    "kid is a number": hand_made({"alg": "HS256", "kid": 7}, CLAIMS, SECRET.encode()),
    "alg none": hand_made({"alg": "none", "kid": "ed"}, CLAIMS),
    "alg None": hand_made({"alg": "None", "kid": "hs"}, CLAIMS),
    "no alg": hand_made({"kid": "hs"}, CLAIMS, SECRET.encode()),
    "HS256 signed with the public key": hand_made(
        {"alg": "HS256", "kid": "ed"}, CLAIMS, PUBLIC.encode()
    ),
    "EdDSA claimed for an HMAC": hand_made({"alg": "EdDSA", "kid": "ed"}, CLAIMS, PUBLIC.encode()),
    "the other key's algorithm": token(PRIVATE, EDDSA, "hs"),
    "another HMAC": token(SECRET + "x" * 30, "HS512", "hs"),
    "too long": token(padding="x" * LONGEST_TOKEN),
    "no token": "not.a.token",
    "empty": "",
    "not even text": "\udcff.\x00.ü",
    "a list for a header": (encoded([1]) + b"." + encoded(CLAIMS) + b".").decode(),
    "a list for claims": (
        encoded({"alg": "HS256", "kid": "hs"}) + b"." + encoded([1]) + b"."
    ).decode(),
}


@pytest.mark.parametrize("forged", REFUSED.values(), ids=REFUSED.keys())
def test_everything_else_is_refused(forged: str) -> None:
    with pytest.raises(Unauthenticated):
        VERIFIER.subject(forged, NOW)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_token_changed_in_any_part_is_refused(part: int) -> None:
    parts = token().split(".")
    parts[part] = ("A" if parts[part][5] != "A" else "B").join([parts[part][:5], parts[part][6:]])
    with pytest.raises(Unauthenticated):
        VERIFIER.subject(".".join(parts), NOW)


@given(st.text(max_size=200))
def test_no_text_raises_anything_else(text: str) -> None:
    with pytest.raises(Unauthenticated):
        VERIFIER.subject(text, NOW)


def test_keys_that_cannot_verify_safely_are_refused() -> None:
    with pytest.raises(InvalidInput, match="at least 32 bytes"):
        TokenKey("k", HS256, "short").prepared()
    with pytest.raises(InvalidInput, match="not an HS256 secret"):
        TokenKey("k", HS256, PUBLIC).prepared()
    with pytest.raises(InvalidInput, match="not 'RS256'"):
        TokenKey("k", "RS256", PUBLIC).prepared()


def test_only_ed25519_public_keys_are_taken() -> None:
    keys = [
        rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key(),
        ed448.Ed448PrivateKey.generate().public_key(),
    ]
    for key in keys:
        pem = key.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        with pytest.raises(InvalidInput, match="Ed25519"):
            ed25519_public_key(pem.decode())
    with pytest.raises(InvalidInput, match="PEM"):
        ed25519_public_key(PRIVATE)


def test_a_key_never_shows_in_its_repr() -> None:
    assert SECRET not in repr(TokenKey("hs", HS256, SECRET))
