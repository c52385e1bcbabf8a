"""`attune keys`: create, list and revoke API keys and the keys that identity tokens are signed by.

Acts on the configured database; running services notice within five seconds. A secret is printed
once, here, and cannot be shown again.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from services.commands.output import Report, json_option
from shared.auth import DEFAULT_SCOPES, KINDS, SCOPES, new_api_key
from shared.auth_store import KeptKey, KeptTokenKey, KeyStore
from shared.clock import real_now_ms
from shared.database import Database, parse_address
from shared.errors import InvalidInput
from shared.identity_tokens import (
    ALGORITHMS,
    EDDSA,
    TokenKey,
    ed25519_public_key,
    new_ed25519_pair,
)
from shared.migrations import migrate
from shared.settings import Settings

LONGEST_NAME = 256
LONGEST_KID = 128
Result = TypeVar("Result")


@click.group()
def command() -> None:
    """Create, list and revoke API keys.

    A server key is a secret of the shop's backend and may say who a customer is (scope
    `identify`). A browser key is public, stands in the shop's pages, and needs an identity token
    for that: see `attune keys token-key`.
    """


@command.command()
@click.option("--kind", type=click.Choice(KINDS), required=True)
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    help="What the key may do; repeat for several. "
    f"Default: {', '.join(DEFAULT_SCOPES['server'])} for a server key, "
    f"{', '.join(DEFAULT_SCOPES['browser'])} for a browser key.",
)
@click.option("--name", default="", help="Where the key is used, to recognise it in lists.")
@json_option
def create(kind: str, scopes: tuple[str, ...], name: str, as_json: bool) -> None:
    """Create an API key and print it, once."""
    with _report("keys create", as_json) as report:
        if len(name) > LONGEST_NAME:
            raise InvalidInput(f"a name has at most {LONGEST_NAME} characters")
        presented, key = new_api_key(kind, scopes, name)
        _with_store(lambda store: store.add(key, real_now_ms()))
        report.add(id=key.id, kind=key.kind, scopes=sorted(key.scopes), name=name, key=presented)
        report.text = (
            f"{presented}\n"
            f"{kind} key {key.id} with {', '.join(sorted(key.scopes))}; "
            "keep it now, it is not shown again"
        )


@command.command("list")
@json_option
def list_keys(as_json: bool) -> None:
    """List API keys, revoked ones included; never their secrets."""
    with _report("keys list", as_json) as report:
        keys = _with_store(KeyStore.keys)
        report.add(keys=keys)
        report.text = (
            "\n".join(_key_line(key) for key in keys)
            or f"no keys in {report.settings['database']}: attune keys create"
        )


@command.command()
@click.argument("identifier", metavar="ID")
@json_option
def revoke(identifier: str, as_json: bool) -> None:
    """Revoke the API key ID: it stops working within five seconds."""
    with _report("keys revoke", as_json) as report:
        revoked_at = _with_store(lambda store: store.revoke(identifier, real_now_ms()))
        report.add(id=identifier, revoked_at=revoked_at)
        report.text = f"key {identifier} revoked at {_time(revoked_at)}"


@command.group("token-key")
def token_key() -> None:
    """Keys that the shop's backend signs identity tokens with.

    A token is a JWT: `sub` the customer, `exp` when it ends (epoch seconds), and in its header
    `kid`, the key's name. Pages send it in the header Attune-Identity-Token.

    EdDSA (default): Attune keeps only the public key. HS256: Attune has to keep the secret itself,
    so whoever reads the database can forge tokens; its SQLite file becomes private to its owner.
    """


@token_key.command("create")
@click.option("--algorithm", type=click.Choice(ALGORITHMS), default=EDDSA, show_default=True)
@click.option("--kid", default=None, help="Name of the key in token headers; default: made up.")
@click.option(
    "--public-key",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Take this Ed25519 public key (PEM) in place of making a pair.",
)
@json_option
def create_token_key(
    algorithm: str, kid: str | None, public_key: Path | None, as_json: bool
) -> None:
    """Create a token key and print its private part, once."""
    with _report("keys token-key create", as_json) as report:
        key, signing = _new_token_key(algorithm, kid or secrets.token_hex(6), public_key)
        _with_store(lambda store: store.add_token_key(key, real_now_ms()))
        report.add(kid=key.kid, algorithm=key.algorithm, signing_key=signing)
        report.text = f"token key {key.kid} ({key.algorithm}) created"
        if signing is not None:
            report.text = (
                f"{signing.rstrip()}\n{report.text}; keep the above, it is not shown again"
            )


@token_key.command("list")
@json_option
def list_token_keys(as_json: bool) -> None:
    """List token keys, revoked ones included; never secrets."""
    with _report("keys token-key list", as_json) as report:
        keys = _with_store(KeyStore.token_keys)
        report.add(token_keys=keys)
        report.text = (
            "\n".join(_token_key_line(key) for key in keys)
            or f"no token keys in {report.settings['database']}: attune keys token-key create"
        )


@token_key.command("revoke")
@click.argument("kid")
@json_option
def revoke_token_key(kid: str, as_json: bool) -> None:
    """Revoke the token key KID: its tokens stop being proof within five seconds."""
    with _report("keys token-key revoke", as_json) as report:
        revoked_at = _with_store(lambda store: store.revoke_token_key(kid, real_now_ms()))
        report.add(kid=kid, revoked_at=revoked_at)
        report.text = f"token key {kid} revoked at {_time(revoked_at)}"


def _new_token_key(
    algorithm: str, kid: str, public_key: Path | None
) -> tuple[TokenKey, str | None]:
    """The key as kept, and what signs tokens (None where the shop already has that)."""
    if len(kid) > LONGEST_KID or not kid.isprintable():
        raise InvalidInput(f"a kid is printable and has at most {LONGEST_KID} characters")
    if public_key is not None:
        if algorithm != EDDSA:
            raise InvalidInput("--public-key goes with --algorithm EdDSA")
        try:
            pem = public_key.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError):
            raise InvalidInput(f"{public_key}: not a public key in PEM form") from None
        ed25519_public_key(pem)
        return TokenKey(kid, EDDSA, pem), None
    if algorithm == EDDSA:
        private, public = new_ed25519_pair()
        return TokenKey(kid, EDDSA, public), private
    secret = secrets.token_urlsafe(32)
    return TokenKey(kid, algorithm, secret), secret


def _report(name: str, as_json: bool) -> Report:
    settings = Settings.from_environment()
    # str() of an address hides its password
    shown: dict[str, Any] = {"database": str(parse_address(settings.database))}
    return Report(name, as_json=as_json, settings=shown)


def _with_store(work: Callable[[KeyStore], Awaitable[Result]]) -> Result:
    return asyncio.run(_run(work))


async def _run(work: Callable[[KeyStore], Awaitable[Result]]) -> Result:
    settings = Settings.from_environment()
    await migrate(settings)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database.open(settings))
        return await work(KeyStore(database))


def _key_line(key: KeptKey) -> str:
    return (
        f"{key.id}  {key.kind:7}  {','.join(sorted(key.scopes))}  created {_time(key.created_at)}"
        + _ended(key.revoked_at)
        + (f"  {key.name}" if key.name else "")
    )


def _token_key_line(key: KeptTokenKey) -> str:
    return f"{key.kid}  {key.algorithm:5}  created {_time(key.created_at)}{_ended(key.revoked_at)}"


def _ended(revoked_at: int | None) -> str:
    return "" if revoked_at is None else f"  revoked {_time(revoked_at)}"


def _time(epoch_ms: int) -> str:
    return datetime.fromtimestamp(epoch_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
