"""The guide's consumer, word for word, on Apache Kafka and the running services."""

import asyncio
import json
import re
import shlex
import shutil
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from services.local.main import OPENING, SPEED
from services.local.servers import Servers
from services.local.staying import exports
from services.local.system import System, embedded_servers, private_settings, running_system
from services.simulator.world import build
from shared.bus import Producer, Record
from shared.clock import Clock, real_now_ms
from shared.events import customer_key
from shared.headers import find
from shared.topics import EVENTS, SUPPRESSIONS, Topic, triggers
from tests.e2e.test_messages import first_messages
from tests.fixtures.servers import missing
from tests.fixtures.systems import Shop, event, run_attune
from tests.fixtures.waiting import eventually

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "guides" / "triggers.md").read_text()
EMAIL = triggers("email")
HOUR_MS = 3_600_000


def block(language: str, containing: str) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    (chosen,) = [each for each in found if containing in each]
    return str(chosen)


class Subscriber:
    """The guide's consumer as a process: what it is told, what it says and what it keeps."""

    def __init__(self, system: System, folder: Path, **variables: str) -> None:
        self.folder = folder
        self.said = folder / "said.txt"
        # Nothing but what the demo prints for another terminal.
        printed = [shlex.split(line)[1] for line in exports(system.settings).splitlines()]
        self.variables = {
            "PATH": "/usr/bin:/bin",
            "KEY": system.keys.server,
            "COLLECTOR": system.collector,
            **dict(setting.split("=", 1) for setting in printed),
            **variables,
        }

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        with self.said.open("ab") as said:
            code = block("python", "while True")
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                code,
                env=self.variables,
                cwd=self.folder,
                stdout=said,
                stderr=said,
            )
            try:
                yield
                assert process.returncode is None, self.said.read_text()
            finally:
                # As a crash does: nothing is finished, nothing is left.
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    def done(self, customer: str) -> list[dict[str, Any]]:
        """What it keeps for a customer and has done with."""
        database = self.folder / "kept.db"
        if not database.exists():
            return []
        with suppress(sqlite3.OperationalError):
            rows = sqlite3.connect(database).execute("SELECT data FROM messages WHERE done")
            found = [json.loads(data) for (data,) in rows]
            return [message for message in found if message["customer"] == customer]
        return []

    def lines(self, start: str) -> list[str]:
        """What it said that begins so."""
        said = self.said.read_text().splitlines() if self.said.exists() else []
        return [line for line in said if line.startswith(start)]


def subscriber(shop: Shop, folder: Path) -> Subscriber:
    """One that hears of this test run's own topics alone."""
    topics = (EMAIL, triggers("push"), SUPPRESSIONS)
    named = " ".join(topic.named(shop.settings.namespace) for topic in topics)
    return Subscriber(shop.system, folder, TOPICS=named)


async def typed(command: str, system: System) -> dict[str, Any]:
    """The answer to a command of the guide, word for word but for the port."""
    command = command.replace("http://127.0.0.1:8081", system.collector)
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        command,
        env={"PATH": "/usr/bin:/bin", "KEY": system.keys.server},
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate()
    answer: dict[str, Any] = json.loads(output)
    return answer


async def deliver_again(shop: Shop, record: Record, topic: Topic) -> None:
    """What at-least-once delivery may do."""
    async with Producer.open(shop.settings) as producer:
        await producer.send(
            topic.named(shop.settings.namespace),
            record.value,
            key=record.key,
            headers=record.headers,
        )
        await producer.flush()


async def leave_a_cart(shop: Shop, customer: str, item: str) -> Record:
    then = real_now_ms() - 2 * HOUR_MS
    await shop.send(event("cart_added", customer=customer, item=item, occurred_at=then))
    (record,) = await first_messages(shop, EMAIL, customer)
    return record


@pytest.mark.timeout(180)
async def test_each_trigger_is_sent_once_and_reported(
    shop: Shop, shopper: str, tmp_path: Path
) -> None:
    sender = subscriber(shop, tmp_path)
    first = await leave_a_cart(shop, shopper, "lamp-5")
    await deliver_again(shop, first, EMAIL)
    async with sender.running():
        await eventually(lambda: sender.done(shopper))
        await deliver_again(shop, first, EMAIL)
        other = f"{shopper}-other"
        await leave_a_cart(shop, other, "rug-5")
        await eventually(lambda: sender.done(other))
    async with sender.running():
        await deliver_again(shop, first, EMAIL)
        third = f"{shopper}-third"
        await leave_a_cart(shop, third, "mug-5")
        await eventually(lambda: sender.done(third))
    (message,) = sender.done(shopper)
    assert message["decision_id"] == find(first.headers, "ce_id")
    assert sender.lines(f"to {shopper} ") == [
        f"to {shopper} by email cart_abandoned {message['payload']['items']}"
    ]
    await reports_arrive(shop, shopper, message["decision_id"])


@pytest.mark.timeout(180)
async def test_a_suppression_is_told_and_never_reported_as_sent(
    shop: Shop, shopper: str, tmp_path: Path
) -> None:
    sender = subscriber(shop, tmp_path)
    then = real_now_ms() - 2 * HOUR_MS
    denied = {"purpose": "marketing", "granted": False}
    await shop.send(
        event("consent_changed", customer=shopper, occurred_at=then - 1, **denied),
        event("cart_added", customer=shopper, item="lamp-5", occurred_at=then),
    )
    await first_messages(shop, SUPPRESSIONS, shopper)
    async with sender.running():
        await eventually(lambda: sender.lines(f"not to {shopper} cart_abandoned consent"))
        # Whatever it does upon a suppression it has done once it is through with a later message.
        other = f"{shopper}-other"
        await leave_a_cart(shop, other, "rug-5")
        await eventually(lambda: sender.done(other))
    await shop.drained()
    assert sender.lines(f"to {shopper} ") == []
    reported = [
        record
        for record in await shop.records(EVENTS)
        if b'"message_sent"' in (record.value or b"") and shopper.encode() in record.value
    ]
    assert all(other.encode() in (record.value or b"") for record in reported), reported
    assert reported


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    """As the demo starts them, with its clock."""
    settings = private_settings(tmp_path, Clock(real_now_ms(), OPENING, SPEED))
    with embedded_servers(tmp_path, settings) as running:
        yield running


@pytest.mark.timeout(300)
async def test_what_the_guide_types_reaches_what_the_guide_runs(
    servers: Servers, tmp_path: Path
) -> None:
    if shutil.which("curl") is None:
        missing("no curl on PATH")
    folder = tmp_path / "consumer"
    folder.mkdir()
    async with running_system(tmp_path, servers) as system:
        await system.load_catalogue([item.as_catalogue() for item in build("default", 1).items])
        sender = Subscriber(system, folder)
        cart = block("sh", "cart-1")
        async with sender.running():
            assert (await typed(cart, system))["accepted"] == 1
            (promised,) = re.findall(r"^(to ada .*) \[", GUIDE, re.MULTILINE)
            await eventually(lambda: sender.lines(promised), what=promised)
            assert "`cart-2` of `bob` goes by email" in GUIDE
            other = cart.replace("cart-1", "cart-2").replace('"ada"', '"bob"')
            assert (await typed(other, system))["accepted"] == 1
            await eventually(lambda: sender.lines("to bob by email cart_abandoned "))
        shell = block("text", "scenarios explain").replace(".venv/bin/attune", "").split()
        explained = await asyncio.to_thread(run_attune, system.settings, *shell)
    assert {each["channel"]: each["sent"] for each in explained["channels"]} == {"push": 1}


async def reports_arrive(shop: Shop, customer: str, message: str) -> None:
    """The guide's reports of what became of the message, and where they lead."""
    command = block("sh", "message_clicked")
    command = command.replace("MESSAGE", message).replace('"ada"', f'"{customer}"')
    assert (await typed(command, shop.system))["accepted"] == 2
    key = customer_key(customer)

    async def answered() -> bool:
        contact = (await shop.identities([key]))[key].profile.contact
        email = contact.responses.get("email")
        return email is not None and (email.sent, email.opened, email.clicked) == (1, 1, 1)

    await eventually(answered, what="the message counted once as sent, opened and clicked")
    await shop.verify()
