"""`attune import` as a user runs it: its JSON, its exit codes, Ctrl-C, and offers after it."""

import asyncio
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from services.ingest.imports.embedded import PrivateServers, private_servers
from services.local.servers import environment
from services.local.system import System, running_system
from shared.bus import Tail
from shared.settings import Settings
from shared.topics import PURCHASES
from tests.fixtures.retail import REAL, retail_csv
from tests.fixtures.waiting import eventually

UCI = ("--mapping", "uci-online-retail")
REQUIRED = {
    "rows",
    "rows_in_facts",
    "excluded",
    "facts",
    "applied",
    "deduplicated",
    "dead_lettered",
    "balanced",
    "rows_per_second",
    "command",
    "version",
    "duration_s",
}
real_data = pytest.mark.data


@pytest.fixture
def real() -> Path:
    if not REAL.exists():
        pytest.skip("the real data set is not beside the checkout")
    return REAL


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-P", "-m", "services.cli", "import", *map(str, arguments)]


def run(
    *arguments: str | Path, settings: Settings | None = None, timeout_s: float = 110
) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    more = {} if settings is None else environment(settings)
    done = subprocess.run(
        command(*arguments),
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
        env={**os.environ, **more},
    )
    return done.returncode, done.stdout, done.stderr


def report(*arguments: str | Path, settings: Settings | None = None) -> dict[str, Any]:
    code, out, errors = run(*arguments, "--json", settings=settings)
    assert code == 0, errors
    found: dict[str, Any] = json.loads(out.splitlines()[-1])
    assert found.keys() >= REQUIRED
    assert found["rows"] == found["rows_in_facts"] + sum(found["excluded"].values())
    assert found["balanced"]
    return found


def test_embedded_import_verifies_itself(tmp_path: Path) -> None:
    path = tmp_path / "retail.csv.gz"
    path.write_bytes(gzip.compress(retail_csv(400).encode()))
    found = report(path, *UCI, "--embedded")
    assert found["facts"] == {"purchased": 360, "refunded": 40}
    assert found["excluded"] == {"not_a_product": 400}
    assert (found["applied"], found["deduplicated"], found["dead_lettered"]) == (400, 0, {})
    verify = found["verify"]
    assert verify["equal"] == verify["customers"] > 300
    assert (verify["different"], verify["lost"], verify["applied_twice"]) == (0, 0, 0)
    assert (verify["events"], verify["balanced"]) == (400, True)


@real_data
def test_the_first_rows_of_the_real_file(real: Path) -> None:
    found = report(real, *UCI, "--limit", "3000", "--embedded")
    assert found["rows"] == 3000
    assert found["applied"] == sum(found["facts"].values()) > 100
    assert found["verify"]["equal"] == found["verify"]["customers"]


@real_data
@pytest.mark.timeout(400)
@pytest.mark.skipif(
    os.environ.get("ATTUNE_LONG_TESTS") != "true", reason="ATTUNE_LONG_TESTS=true runs it"
)
def test_the_whole_real_file(real: Path) -> None:
    found = report(real, *UCI, "--embedded")
    assert found["rows"] == 541_909
    assert found["facts"] == {"purchased": 19_773, "refunded": 3_422}
    assert found["excluded"] == {
        "not_a_product": 2_950,
        "stock_adjustment": 1_336,
        "no_price": 1_161,
    }
    assert found["applied"] == 23_195
    assert found["verify"]["equal"] == found["verify"]["customers"]


def test_segment_messages_and_what_is_refused(tmp_path: Path) -> None:
    lines = [
        {
            "type": "track",
            "event": "Product Viewed",
            "messageId": f"m{number}",
            "userId": f"u{number % 7}",
            "timestamp": "2021-05-01T10:00:00Z",
            "properties": {"product_id": f"p{number % 5}"},
        }
        for number in range(60)
    ]
    text = "\n".join(json.dumps(line) for line in lines) + '\n{broken\n{"type": "track"}\n'
    path = tmp_path / "export.jsonl"
    path.write_text(text)
    found = report(path, "--mapping", "segment", "--embedded")
    assert found["facts"] == {"item_viewed": 60}
    assert found["excluded"] == {"dead_lettered": 2}
    assert found["applied"] == 60
    assert found["dead_lettered"] == {"malformed_json": 1, "missing_field": 1}
    assert found["verify"]["customers"] == 7


BAD: Sequence[tuple[str, bytes, Sequence[str], str]] = [
    ("none.csv", b"", UCI, "none.csv: No such file or directory"),
    ("empty.csv", b"", UCI, "empty.csv: empty"),
    ("cut.csv.gz", gzip.compress(retail_csv(50).encode())[:-30], UCI, "it was cut off; nothing"),
    ("latin.csv", b"InvoiceNo\nM\xfcsli\n", UCI, "not utf-8 near byte 11"),
    ("other.csv", b"InvoiceNo,Code\n1,2\n", UCI, "no column Country, CustomerID, Description"),
    ("good.csv", retail_csv(2).encode(), ("--mapping", "nothing"), "shipped: segment, uci-online"),
]


@pytest.mark.parametrize(("name", "data", "options", "told"), BAD, ids=[bad[0] for bad in BAD])
def test_bad_input_is_one_clear_line(
    tmp_path: Path, name: str, data: bytes, options: Sequence[str], told: str
) -> None:
    path = tmp_path / name
    if name != "none.csv":
        path.write_bytes(data)
    code, out, errors = run(path, *options, "--embedded")
    assert (code, out) == (2, "")
    assert told in errors
    assert len(errors.splitlines()) == 1


def test_a_log_that_is_down_is_told(tmp_path: Path, base_settings: Settings) -> None:
    path = tmp_path / "retail.csv"
    path.write_text(retail_csv(3))
    code, _, errors = run(path, *UCI, settings=base_settings)
    assert code == 1
    assert "Traceback" not in errors


async def test_interrupted_it_goes_on_where_it_stopped(
    tmp_path: Path, embedded_settings: Settings
) -> None:
    invoices = 80_000  # so many that a busy machine is not done before it is interrupted
    path = tmp_path / "retail.csv"
    path.write_text(retail_csv(invoices))
    topic = PURCHASES.named(embedded_settings.namespace)
    # Opened before, so that the first order is seen as soon as it is there.
    async with Tail.open(embedded_settings, [topic]) as tail:
        process = await asyncio.create_subprocess_exec(
            *command(path, *UCI, "--wait", "0"),
            env={**os.environ, **environment(embedded_settings)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )

        async def begun() -> bool:
            return bool(await tail.poll(max_records=1, timeout_ms=50))

        await eventually(begun, what="some orders sent")
        process.send_signal(signal.SIGINT)
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert b"interrupted; the same command goes on" in errors
    code, out, _ = await asyncio.to_thread(
        run, path, *UCI, "--wait", "0", "--json", settings=embedded_settings
    )
    found = json.loads(out.splitlines()[-1])
    assert code == 1, "nothing consumes here, so the balance stays open"
    assert found["failed"] == ["balanced"]
    assert found["sent"] + found["already_imported"] == invoices
    assert found["pending"] == found["sent"]


@pytest.fixture
def servers() -> Iterator[PrivateServers]:
    with private_servers(1) as private:
        yield private


@pytest.fixture
async def shop(servers: PrivateServers) -> AsyncIterator[System]:
    """A private system with all services."""
    async with running_system(servers.folder, servers.servers) as system:
        yield system


async def offers(shop: System, **request: Any) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {shop.keys.server}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(shop.recommend + "/v1/recommend", json=request, headers=headers) as answer,
    ):
        found: dict[str, Any] = await answer.json()
    assert answer.status == 200, found
    return found


async def _offers_after_import(shop: System, path: Path, *more: str) -> None:
    first = await asyncio.to_thread(report, path, *UCI, *more, settings=shop.settings)
    assert first["applied"] == sum(first["facts"].values()) > 0
    started = time.monotonic()
    again = await asyncio.to_thread(report, path, *UCI, *more, settings=shop.settings)
    assert (again["applied"], again["deduplicated"]) == (0, first["applied"])
    assert (again["facts"], again["excluded"]) == (first["facts"], first["excluded"])
    assert time.monotonic() - started < 60


async def test_a_second_import_applies_nothing_and_customers_get_offers(
    shop: System, tmp_path: Path
) -> None:
    path = tmp_path / "retail.csv"
    path.write_text(retail_csv(600))
    await _offers_after_import(shop, path)

    async def profiled() -> bool:
        found = await offers(shop, customer="10001", n=5)
        return bool(found["items"]) and found["profile_age_ms"] is not None

    assert await eventually(profiled, what="offers for a customer of the file")
    found = await offers(shop, customer="10001", n=50)
    assert "POST" not in {item["id"] for item in found["items"]}


@real_data
async def test_real_customers_get_offers(shop: System, real: Path) -> None:
    await _offers_after_import(shop, real, "--limit", "20000")

    async def offered() -> bool:
        found = await offers(shop, customer="17850", n=10)
        return len(found["items"]) == 10 and found["profile_age_ms"] is not None

    assert await eventually(offered, what="offers for customer 17850")
