"""API keys and the key ring: who may call, without I/O."""

import asyncio
import base64
from dataclasses import replace

import pytest

from shared.auth import (
    ApiKey,
    KeyRing,
    KeySnapshot,
    Principal,
    digest_of,
    id_of,
    new_api_key,
    open_key_ring,
    presented_key,
)
from shared.errors import Forbidden, InvalidInput, Unauthenticated, Unavailable
from shared.identity_tokens import EDDSA, HS256, TokenKey, new_ed25519_pair
from tests.fixtures.waiting import eventually

KEY, KEPT = new_api_key("server")
RING = KeyRing(KeySnapshot((KEPT,)))


def basic(user: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:".encode()).decode()


def test_a_key_has_the_documented_shape_and_is_kept_as_a_digest() -> None:
    kind, identifier, secret = KEY.removeprefix("atn_").split("_", 2)
    assert (kind, identifier) == ("server", KEPT.id)
    assert len(secret) == 43
    assert KEPT.digest == digest_of(KEY)
    assert secret not in repr(KEPT)


def test_secrets_with_underscores_are_parsed_whole() -> None:
    assert id_of("atn_browser_ab12_x_y__z") == "ab12"


@pytest.mark.parametrize("header", [f"Bearer {KEY}", f"bearer  {KEY}", basic(KEY)])
def test_the_key_comes_as_bearer_or_as_basic_user_name(header: str) -> None:
    assert RING.authenticate(header).key_id == KEPT.id


def test_an_explicit_key_counts_only_without_a_header() -> None:
    assert RING.authenticate(None, KEY).kind == "server"
    with pytest.raises(Unauthenticated):
        RING.authenticate("Bearer atn_server_x_y", KEY)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic ",
        "Basic %%%",
        "Basic /////w==",
        f"Digest {KEY}",
        KEY,
        f"Bearer {KEY}x",
        f"Bearer {KEY[:-1]}",
        "Bearer atn_server__secret",
        f"Bearer {KEY.replace('server', 'browser')}",
        "Bearer atn_server_\xff_\xff",
        f"Bearer atn_server_{KEPT.id}_\u00fc",
        "Bearer " + "x" * 10_000,
    ],
)
def test_anything_but_a_valid_key_is_refused(header: str | None) -> None:
    with pytest.raises(Unauthenticated):
        RING.authenticate(header)


def test_the_header_is_read_before_any_key_is_known() -> None:
    assert presented_key(basic("k"), None) == "k"


def test_scopes_are_required_one_by_one() -> None:
    principal = Principal("1", "server", frozenset({"events"}))
    principal.require("events")
    with pytest.raises(Forbidden, match="admin"):
        principal.require("admin")


def test_only_server_keys_with_the_scope_may_identify() -> None:
    assert Principal("1", "server", frozenset({"identify"})).may_identify
    assert not Principal("1", "server", frozenset({"events"})).may_identify
    assert not Principal("1", "browser", frozenset({"identify"})).may_identify


def test_default_scopes_leave_administration_out() -> None:
    assert KEPT.scopes == {"events", "identify", "recommend"}
    assert new_api_key("browser")[1].scopes == {"events", "recommend"}


@pytest.mark.parametrize("scope", ["identify", "customers", "admin"])
def test_a_public_key_cannot_hold_a_private_scope(scope: str) -> None:
    with pytest.raises(InvalidInput, match="public"):
        new_api_key("browser", [scope])


def test_unknown_kinds_and_scopes_are_refused() -> None:
    with pytest.raises(InvalidInput, match="kind"):
        new_api_key("mobile")
    with pytest.raises(InvalidInput, match="unknown scope"):
        new_api_key("server", ["everything"])


def test_before_the_first_load_nobody_is_let_in_and_nobody_is_called_wrong() -> None:
    ring = KeyRing()
    with pytest.raises(Unavailable):
        ring.authenticate(f"Bearer {KEY}")
    with pytest.raises(Unavailable):
        ring.subject("a.b.c")
    assert not ring.loaded
    assert ring.age_s == float("inf")


def test_a_newer_snapshot_ends_a_revoked_key() -> None:
    ring = KeyRing(KeySnapshot((KEPT,)))
    ring.replace(KeySnapshot())
    with pytest.raises(Unauthenticated):
        ring.authenticate(f"Bearer {KEY}")


def test_the_id_of_one_key_does_not_open_with_the_secret_of_another() -> None:
    other, kept = new_api_key("server")
    ring = KeyRing(KeySnapshot((KEPT, kept)))
    secret = other.split("_", 3)[3]
    with pytest.raises(Unauthenticated):
        ring.authenticate(f"Bearer atn_server_{KEPT.id}_{secret}")


def test_a_broken_token_key_does_not_take_the_others_with_it() -> None:
    _, public = new_ed25519_pair()
    broken = TokenKey("bad", EDDSA, "nonsense")
    ring = KeyRing(KeySnapshot((KEPT,), (broken, TokenKey("good", EDDSA, public))))
    assert ring.authenticate(f"Bearer {KEY}").key_id == KEPT.id
    assert ring._verifier._keys.keys() == {"good"}


def test_a_token_key_too_weak_to_use_is_left_out() -> None:
    ring = KeyRing(KeySnapshot((), (TokenKey("weak", HS256, "short"),)))
    with pytest.raises(Unauthenticated, match="kid"):
        ring.subject("eyJhbGciOiJIUzI1NiIsImtpZCI6IndlYWsifQ.e30.eHg")


async def test_the_ring_keeps_itself_fresh_and_outlives_failures() -> None:
    second: ApiKey = replace(KEPT, id="other")
    answers: list[KeySnapshot | Exception] = [
        RuntimeError("database away"),
        KeySnapshot((KEPT,)),
        RuntimeError("away again"),
        KeySnapshot((KEPT, second)),
    ]

    async def load() -> KeySnapshot:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async with open_key_ring(load, refresh_s=0.01) as ring:
        assert not ring.loaded
        await eventually(lambda: ring.loaded)
        await eventually(lambda: "other" in ring._keys)
        assert ring.authenticate(f"Bearer {KEY}").key_id == KEPT.id
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "key-ring"]
