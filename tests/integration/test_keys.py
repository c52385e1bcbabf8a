"""`attune keys` on a real database: what is printed once, listed, revoked, and kept."""

import json
import re
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from services.cli import main
from shared.auth import KeyRing, new_api_key, open_key_ring
from shared.auth_store import KeyStore
from shared.clock import real_now_ms
from shared.database import Database
from shared.errors import DatabaseUnavailable, InvalidInput, NotFound, Unauthenticated
from shared.identity_tokens import EDDSA, HS256, TokenKey, new_ed25519_pair
from shared.migrations import migrate
from shared.settings import Settings
from tests.fixtures.waiting import eventually


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "attune.db"


@pytest.fixture
def attune(file: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("ATTUNE_DATABASE", f"sqlite+aiosqlite:///{file}")

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["keys", *arguments])

    return run


def said(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found


def test_a_key_is_printed_once_and_kept_as_a_digest(attune: Any, file: Path) -> None:
    made = said(attune("create", "--kind", "server", "--name", "backend", "--json"))
    assert made["command"] == "keys create"
    assert re.fullmatch(r"atn_server_[0-9a-f]{12}_[\w-]{43}", made["key"])
    assert made["scopes"] == ["events", "identify", "recommend"]
    (listed,) = said(attune("list", "--json"))["keys"]
    assert (listed["id"], listed["name"], listed["revoked_at"]) == (made["id"], "backend", None)
    secret = made["key"].split("_", 3)[3].encode()
    for kept in file.parent.iterdir():
        assert secret not in kept.read_bytes()
    assert made["key"] not in attune("list").output


def test_people_get_the_key_on_a_line_of_its_own(attune: Any) -> None:
    result = attune("create", "--kind", "browser", "--scope", "events")
    first, second = result.output.splitlines()
    assert first.startswith("atn_browser_")
    assert "with events; keep it now" in second


def test_revoking_is_final_and_repeatable(attune: Any) -> None:
    made = said(attune("create", "--kind", "browser", "--json"))
    first = said(attune("revoke", made["id"], "--json"))
    assert said(attune("revoke", made["id"], "--json"))["revoked_at"] == first["revoked_at"]
    assert "revoked" in attune("list").output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["create", "--kind", "browser", "--scope", "identify"], "a browser key is public"),
        (["create", "--kind", "server", "--name", "x" * 257], "at most 256"),
        (["revoke", "nobody"], "no key with the id 'nobody'"),
        (["token-key", "revoke", "nobody"], "no key with the kid 'nobody'"),
        (["token-key", "create", "--kid", "a\nb"], "a kid is printable"),
        (["token-key", "create", "--public-key", __file__], "not a public key"),
        (
            ["token-key", "create", "--algorithm", "HS256", "--public-key", __file__],
            "goes with --algorithm EdDSA",
        ),
    ],
)
def test_mistakes_are_one_clear_line(attune: Any, arguments: list[str], message: str) -> None:
    result = attune(*arguments)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert message in line


def test_nothing_is_listed_on_an_empty_database(attune: Any) -> None:
    assert "attune keys create" in attune("list").output
    assert "attune keys token-key create" in attune("token-key", "list").output


def test_token_keys_print_the_private_part_once(attune: Any, file: Path) -> None:
    pair = said(attune("token-key", "create", "--json"))
    assert "PRIVATE KEY" in pair["signing_key"]
    shared = said(
        attune("token-key", "create", "--algorithm", "HS256", "--kid", "backend", "--json")
    )
    assert len(shared["signing_key"]) >= 43
    again = attune("token-key", "create", "--kid", "backend")
    assert (again.exit_code, "is taken" in again.output) == (2, True)
    listed = said(attune("token-key", "list", "--json"))["token_keys"]
    assert {key["algorithm"] for key in listed} == {EDDSA, HS256}
    assert shared["signing_key"] not in json.dumps(listed)
    assert "PRIVATE" not in json.dumps(listed)
    assert attune("token-key", "list").output.count("created") == 2
    # an HS256 secret has to be kept in clear: nobody else may read the file
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    said(attune("token-key", "revoke", "backend", "--json"))
    assert "revoked" in attune("token-key", "revoke", "backend").output


def test_a_shop_may_bring_its_own_public_key(attune: Any, tmp_path: Path) -> None:
    private, public = new_ed25519_pair()
    pem = tmp_path / "shop.pem"
    pem.write_text(public)
    made = said(attune("token-key", "create", "--public-key", str(pem), "--json"))
    assert made["signing_key"] is None
    (listed,) = said(attune("token-key", "list", "--json"))["token_keys"]
    assert listed["public_key"] == public
    pem.write_text(private)
    refused = attune("token-key", "create", "--public-key", str(pem))
    assert (refused.exit_code, "not a public key" in refused.output) == (2, True)


async def check_store(settings: Settings) -> None:
    """What every database has to do with keys."""
    async with Database.open(settings) as database:
        store = KeyStore(database)
        with pytest.raises(DatabaseUnavailable):
            await store.snapshot()  # no tables yet
        await migrate(settings)
        presented, key = new_api_key("server", ["events", "admin"], "backend")
        _, public = new_ed25519_pair()
        async with open_key_ring(store.snapshot, refresh_s=0.05) as ring:
            assert ring.loaded
            await store.add(key, real_now_ms())
            await store.add_token_key(TokenKey("k", EDDSA, public), real_now_ms())
            await eventually(lambda: known(ring, presented))
            principal = ring.authenticate(f"Bearer {presented}")
            assert (principal.key_id, principal.scopes) == (key.id, {"events", "admin"})
            with pytest.raises(InvalidInput):
                await store.add_token_key(TokenKey("k", EDDSA, public), real_now_ms())
            assert await store.snapshot() == await store.snapshot()
            await store.revoke(key.id, real_now_ms())
            await eventually(lambda: not known(ring, presented))
        assert (await store.snapshot()).api_keys == ()
        assert [kept.id for kept in await store.keys()] == [key.id]
        with pytest.raises(NotFound):
            await store.revoke("nobody", real_now_ms())


def known(ring: KeyRing, presented: str) -> bool:
    try:
        ring.authenticate(None, presented)
    except Unauthenticated:
        return False
    return True


async def test_keys_in_sqlite(base_settings: Settings) -> None:
    await check_store(base_settings)


@pytest.mark.postgres
async def test_keys_in_postgresql(base_settings: Settings, postgres_url: str) -> None:
    await check_store(replace(base_settings, database=postgres_url))
