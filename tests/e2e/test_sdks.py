"""Unmodified public SDKs, pointed at the collector by their host alone.

What they send has to arrive in the raw topics byte for byte and be the right facts.
"""

import asyncio
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from segment.analytics.client import Client as SegmentClient

from services.ingest.normalise import normalise
from shared.bus import Record
from shared.events import AnyFact, Identified, ItemViewed, PageViewed, Purchased
from shared.headers import find, find_int
from shared.settings import Settings
from tests.fixtures.collectors import collector_process, make_key, raw_records
from tests.fixtures.servers import missing
from tests.fixtures.waiting import eventually

ROOT = Path(__file__).resolve().parents[2]
LOCKED = ("package.json", "package-lock.json")
INSTALL_S = 300
OFFLINE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ETIMEDOUT", "ENETUNREACH")


@dataclass(frozen=True, slots=True)
class Target:
    """A collector with an empty log, and a key of a server."""

    settings: Settings
    url: str
    key: str


@pytest.fixture
async def target(embedded_settings: Settings) -> AsyncIterator[Target]:
    key = await make_key(embedded_settings, "server")
    with collector_process(embedded_settings) as running:
        yield Target(embedded_settings, running.url, key)


@pytest.fixture(scope="session")
def node_sdks() -> Path:
    """The folder with the SDKs of tests/e2e/node/package-lock.json, installed once."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            missing(f"no {program} on PATH")
    source = ROOT / "tests" / "e2e" / "node"
    locked = b"".join((source / name).read_bytes() for name in LOCKED)
    folder = ROOT / "build" / "node-sdks" / hashlib.sha256(locked).hexdigest()[:12]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another test run may be installing
        if not (folder / "installed").exists():
            for name in LOCKED:
                shutil.copy(source / name, folder)
            install = subprocess.run(
                ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=INSTALL_S,
                check=False,
            )
            if any(code in install.stderr for code in OFFLINE):
                missing("npm reaches no registry")
            assert install.returncode == 0, install.stderr
            (folder / "installed").touch()
    return folder


async def taken(target: Target, expected: int) -> list[Record]:
    """The raw records, once there are as many as expected."""

    async def enough() -> list[Record]:
        records = [
            record
            for topic in ("clickstream", "purchases")
            for record in await raw_records(target.settings, topic)
        ]
        return records if len(records) >= expected else []

    records = await eventually(enough)
    assert len(records) == expected
    return records


def fact_of(record: Record) -> AnyFact:
    """What ingest makes of a record."""
    received_at = find_int(record.headers, "received_at")
    assert received_at is not None
    return normalise(record.value, record.headers, received_at=received_at)


def check_shopping(target: Target, records: list[Record], order: str) -> None:
    """The shopping that every SDK here sends: the facts, their keys and their topics."""
    facts = [fact_of(record) for record in records]
    by_type = {type(fact): fact for fact in facts}
    page, view = by_type[PageViewed], by_type[ItemViewed]
    assert (page.anonymous, page.customer) == ("a1", None)
    assert isinstance(view, ItemViewed)
    assert (view.item, view.price, view.currency, view.category) == ("p1", 1999, "EUR", "shoes")
    bought = by_type[Purchased]
    assert isinstance(bought, Purchased)
    assert (bought.customer, bought.order, bought.total) == ("u1", order, 3998)
    assert [(line.item, line.quantity, line.price) for line in bought.lines] == [("p1", 2, 1999)]
    logins = [fact for fact in facts if isinstance(fact, Identified)]
    assert [(login.customer, login.anonymous) for login in logins] == [("u1", "a1")] * 2
    for record, fact in zip(records, facts, strict=True):
        sent = json.loads(record.value or b"")
        assert sent["messageId"] == fact.event_id
        assert find(record.headers, "format") == "segment"
        assert abs(fact.occurred_at - fact.received_at) < 60_000
        expected = "purchases" if isinstance(fact, Purchased) else "clickstream"
        assert record.topic == f"{target.settings.namespace}.{expected}"
        owner = "a:a1" if fact.customer is None else "c:u1"
        assert record.key == owner.encode()


PRODUCT = {"product_id": "p1", "price": 19.99, "currency": "EUR", "category": "shoes"}
ORDER_LINES = [{"product_id": "p1", "price": 19.99, "quantity": 2}]


@pytest.mark.parametrize("gzip", [False, True])
async def test_segments_python_sdk(target: Target, gzip: bool) -> None:
    failures: list[object] = []
    client = SegmentClient(
        target.key,
        host=target.url,
        gzip=gzip,
        on_error=lambda error, _items: failures.append(error),
    )
    order = {"order_id": "o1", "total": 39.98, "currency": "EUR", "products": ORDER_LINES}
    client.page(anonymous_id="a1", name="Home", properties={"path": "/"})
    client.track(anonymous_id="a1", event="Product Viewed", properties=PRODUCT)
    client.identify(user_id="u1", anonymous_id="a1", traits={"country": "DE"})
    client.track(user_id="u1", anonymous_id="a1", event="Order Completed", properties=order)
    client.alias(previous_id="a1", user_id="u1")
    await asyncio.to_thread(client.shutdown)
    assert failures == []
    check_shopping(target, await taken(target, 5), "o1")


async def test_segments_python_sdk_hears_of_a_refused_key(target: Target) -> None:
    failures: list[Exception] = []
    client = SegmentClient(
        "atn_server_x_y", host=target.url, on_error=lambda error, _items: failures.append(error)
    )
    client.track(anonymous_id="a1", event="Product Viewed", properties=PRODUCT)
    await asyncio.to_thread(client.shutdown)
    assert [getattr(failure, "status", None) for failure in failures] == [401]


@pytest.mark.node
@pytest.mark.timeout(INSTALL_S + 120)
@pytest.mark.parametrize("sdk", ["segment", "rudderstack"])
async def test_the_node_sdks(target: Target, node_sdks: Path, sdk: str) -> None:
    prefix = uuid.uuid4().hex[:8]
    script = ROOT / "tests" / "e2e" / "node" / "send.mjs"
    process = await asyncio.create_subprocess_exec(
        "node",
        str(script),
        *(sdk, target.url, target.key, prefix),
        cwd=node_sdks,
        env={"PATH": os.environ["PATH"], "NO_PROXY": "127.0.0.1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(60):
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    check_shopping(target, await taken(target, 5), f"{prefix}-order")


async def test_the_bytes_of_a_batch_arrive_as_an_sdk_wrote_them(target: Target) -> None:
    """A proxy in between keeps what the SDK sent; the log has to have the very same."""
    written: list[bytes] = []

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:] if line)
        lengths = {name.lower(): value for name, value in fields.items()}
        written.append(await reader.readexactly(int(lengths["content-length"])))
        async with httpx.AsyncClient() as client:
            answer = await client.post(
                f"{target.url}/v1/batch",
                content=written[-1],
                headers={"authorization": lengths["authorization"]},
            )
        body = answer.content
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    proxy = await asyncio.start_server(forward, "127.0.0.1")
    async with proxy:
        port = proxy.sockets[0].getsockname()[1]
        client = SegmentClient(target.key, host=f"http://127.0.0.1:{port}")
        for number in range(3):
            client.track(f"ü-{number}", "Product Viewed", {**PRODUCT, "price": 0.1 + number})
        await asyncio.to_thread(client.shutdown)
    records = await taken(target, 3)
    sent = b"".join(written)
    for record in records:
        assert record.value is not None
        assert record.value in sent
    assert {fact_of(record).customer for record in records} == {"ü-0", "ü-1", "ü-2"}
