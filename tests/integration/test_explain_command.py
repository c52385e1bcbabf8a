"""`attune scenarios explain` as a command on a real Redis, and of whom it says nothing."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import shared
from services.cli import main
from services.profile.scenarios.holding import SHIPPED, load
from services.profile.store import ProfileStore
from shared.generation_store import GenerationStore
from shared.keys import Keys
from shared.settings import Settings
from shared.store import open_redis
from tests.unit.profile.builders import HOUR, carted
from tests.unit.profile.moments.books import Customer


@pytest.fixture
def run(redis_url: str, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the command where alice has just left a cart, and no broker answers."""
    monkeypatch.setenv("ATTUNE_REDIS", redis_url)
    monkeypatch.setenv("ATTUNE_NAMESPACE", namespace)
    monkeypatch.setenv("ATTUNE_BOOTSTRAP", "127.0.0.1:1")
    monkeypatch.setenv("ATTUNE_MODELS", str(tmp_path / "models"))

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["scenarios", "explain", *arguments])

    return invoke


def remember(settings: Settings) -> int:
    """Writes what a profile process would have of alice; when her cart is due."""
    now = settings.clock.now_ms()
    alice = Customer(load(SHIPPED))
    alice.fold(carted(1, now))
    alice.fold_outbox()

    async def write() -> None:
        async with open_redis(settings) as redis:
            generations = GenerationStore(redis, settings.namespace)
            made = await generations.mint("topic-1", 1)
            token = made.token
            store = ProfileStore(redis, Keys(settings.namespace, token), "topic-1")
            assert await store.save([alice.identity]) == []

    asyncio.run(write())
    return now + HOUR


def test_what_waits_for_a_customer_is_told_and_nothing_of_anybody_else(run: Any) -> None:
    nobody_yet = run("--customer", "alice")
    due = remember(Settings.from_environment())
    found = run("--customer", "alice", "--json")
    unknown = run("--customer", "bob", "--json")
    words = run("--customer", "alice")

    assert (nobody_yet.exit_code, nobody_yet.stdout) == (2, "")
    assert "no profiles yet" in nobody_yet.stderr
    assert found.exit_code == 0, found.output
    answer = json.loads(found.stdout)
    cart = next(one for one in answer["scenarios"] if one["name"] == "cart_abandoned")
    assert [(moment["state"], moment["due"]) for moment in cart["moments"]] == [("waiting", due)]
    assert (answer["customer"], answer["command"]) == ("alice", "scenarios explain")
    # `version` is Attune's own, as in the answer of every command.
    assert (answer["book"], answer["version"]) == ("shipped-1", shared.__version__)
    assert (unknown.exit_code, unknown.stdout) == (2, "")
    assert "bob" in unknown.stderr
    assert words.exit_code == 0
    assert words.stdout.splitlines()[0].endswith(f"judged by scenarios shipped-1 of {SHIPPED}")
    # At night it would wait for the morning.
    assert "cart_abandoned: is decided in " in words.stdout


def test_the_file_of_this_terminal_is_named_and_what_speaks_against_it(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(Settings.from_environment())
    own = tmp_path / "own.yaml"
    own.write_text(
        SHIPPED.read_text().replace("cart_abandoned", "cart_left").replace("-1", "-2", 1)
    )
    monkeypatch.setenv("ATTUNE_SCENARIOS", str(own))

    answer = json.loads(run("--customer", "alice", "--json").stdout)

    assert (answer["book"], answer["file"]) == ("shipped-2", str(own))
    assert any("does not have: cart_abandoned" in each for each in answer["warnings"])
