"""The guide's consumer, word for word, on Apache Kafka and the running services."""

import asyncio
import json
import re
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from shared.bus import Producer, Record
from shared.clock import real_now_ms
from shared.events import customer_key
from shared.headers import find
from shared.topics import Topic, triggers
from tests.e2e.test_messages import first_messages
from tests.fixtures.systems import Shop, event
from tests.fixtures.waiting import eventually

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "guides" / "triggers.md").read_text()
EMAIL = triggers("email")
HOUR_MS = 3_600_000


def block(language: str, containing: str) -> str:
    found = re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)
    (chosen,) = [each for each in found if containing in each]
    return str(chosen)


class Mailer:
    """The consumer's process, its output and its database."""

    def __init__(self, shop: Shop, folder: Path) -> None:
        self.database = folder / "mails.db"
        self.said = folder / "said.txt"
        settings = shop.settings
        self.variables = {
            "PATH": "/usr/bin:/bin",
            "KEY": shop.system.keys.server,
            "COLLECTOR": shop.system.collector,
            "ATTUNE_BOOTSTRAP": settings.bootstrap,
            "TOPIC": EMAIL.named(settings.namespace),
            "MAILS": str(self.database),
        }

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        with self.said.open("ab") as said:
            code = block("python", "while True")
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", code, env=self.variables, stdout=said, stderr=said
            )
            try:
                yield
                assert process.returncode is None, self.said.read_text()
            finally:
                # As a crash does: nothing is finished, nothing is left.
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    def mails(self, customer: str) -> list[dict[str, Any]]:
        """What it keeps for a customer and has done with."""
        if not self.database.exists():
            return []
        with suppress(sqlite3.OperationalError):
            rows = sqlite3.connect(self.database).execute("SELECT data FROM mails WHERE done")
            found = [json.loads(data) for (data,) in rows]
            return [mail for mail in found if mail["customer"] == customer]
        return []

    def sent(self, customer: str) -> list[str]:
        """What it said that it sends to a customer."""
        lines = self.said.read_text().splitlines() if self.said.exists() else []
        return [line for line in lines if line.startswith(f"to {customer} ")]


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
    mailer = Mailer(shop, tmp_path)
    first = await leave_a_cart(shop, shopper, "lamp-5")
    await deliver_again(shop, first, EMAIL)
    async with mailer.running():
        await eventually(lambda: mailer.mails(shopper))
        await deliver_again(shop, first, EMAIL)
        other = f"{shopper}-other"
        await leave_a_cart(shop, other, "rug-5")
        await eventually(lambda: mailer.mails(other))
    async with mailer.running():
        await deliver_again(shop, first, EMAIL)
        third = f"{shopper}-third"
        await leave_a_cart(shop, third, "mug-5")
        await eventually(lambda: mailer.mails(third))
    (mail,) = mailer.mails(shopper)
    assert mail["decision_id"] == find(first.headers, "ce_id")
    assert len(mailer.sent(shopper)) == 1
    assert "cart_abandoned" in mailer.sent(shopper)[0]
    await reports_arrive(shop, shopper, mail["decision_id"])


async def reports_arrive(shop: Shop, customer: str, message: str) -> None:
    """The guide's reports of what became of the message, and where they lead."""
    command = block("sh", "message_clicked").replace("http://127.0.0.1:8081", shop.system.collector)
    command = command.replace("MESSAGE", message).replace('"ada"', f'"{customer}"')
    variables = {"PATH": "/usr/bin:/bin", "KEY": shop.system.keys.server}
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", command, env=variables, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    assert json.loads(output)["accepted"] == 2
    key = customer_key(customer)

    async def answered() -> bool:
        contact = (await shop.identities([key]))[key].profile.contact
        email = contact.responses.get("email")
        return email is not None and (email.sent, email.opened, email.clicked) == (1, 1, 1)

    await eventually(answered, what="the message counted once as sent, opened and clicked")
    await shop.verify()
