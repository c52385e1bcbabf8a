"""A real profile process on Apache Kafka and whatever Redis a test gives it, and what went in."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from services.commands.bench.workload import shop_facts
from services.local.guard import Guarded
from services.local.ports import HOST, free_port
from services.local.servers import environment
from services.profile.verify.check import Verification, verify, wait_until_drained
from shared import events as facts
from shared import topics
from shared.bus import Producer
from shared.clock import real_now_ms
from shared.settings import Settings
from tests.fixtures.waiting import eventually

FACTS = 20_000
DRAINED_S = 60


def traffic(seed: int) -> Iterator[facts.Fact]:
    """Shoppers of the benchmark, every tenth event resent, and logins throughout."""
    now = real_now_ms()
    for number, fact in enumerate(shop_facts(FACTS, seed, now)):
        yield fact
        if number % 10 == 0:
            yield fact
        if number % 40 == 0 and fact.anonymous is not None:
            yield facts.Identified(
                event_id=f"login-{number}",
                occurred_at=fact.occurred_at,
                received_at=now,
                customer=f"owner-{number % 7}",
                anonymous=fact.anonymous,
            )


@dataclass
class Folding:
    """The process, the facts written so far, and what it says of itself."""

    settings: Settings
    process: Guarded
    port: int
    client: httpx.AsyncClient
    sequence: Iterator[facts.Fact]
    written: int = 0
    records: int = field(default=0)

    async def write(self, count: int, *, over_s: float = 0.0) -> None:
        """Writes the next facts, in slices over that time."""
        slices = 20 if over_s else 1
        topic = topics.EVENTS.named(self.settings.namespace)
        async with Producer.open(self.settings) as producer:
            for _ in range(slices):
                for fact in islice(self.sequence, count // slices):
                    keys = {facts.identity_key(fact)}
                    if isinstance(fact, facts.Identified) and fact.anonymous:
                        keys.add(facts.anonymous_key(fact.anonymous))
                    source = f"clickstream/0/{self.written}".encode()
                    for key in sorted(keys):
                        await producer.send(
                            topic, facts.encode(fact), key=key.encode(), headers=(("src", source),)
                        )
                        self.records += 1
                    self.written += 1
                await producer.flush()
                await asyncio.sleep(over_s / slices)

    async def keep_writing(self, stop: asyncio.Event) -> None:
        """Writes some 500 facts a second until told to stop."""
        while not stop.is_set():
            await self.write(100)
            await asyncio.sleep(0.2)

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of a series' samples with these labels."""
        answer = await self.client.get("/metrics")
        return sum(
            sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    async def retries(self) -> float:
        """How often a batch was taken up again."""
        return await self.metric("attune_profile_retries_total")

    async def applied(self) -> float:
        """Facts that this process has folded and written, however often."""
        return await self.metric("attune_profile_facts_total")

    async def await_applied(self, least: float) -> None:
        """Waits until at least so many are."""

        async def probe() -> bool:
            return await self.applied() >= least

        await eventually(probe, what=f"{least} facts applied")

    async def await_retried(self, more_than: float = 0) -> None:
        """Waits until a batch was taken up again."""

        async def probe() -> bool:
            return await self.retries() > more_than

        await eventually(probe, what="a batch taken up again")

    async def checks(self) -> dict[str, str]:
        """What readiness says of each dependency."""
        answer = await self.client.get("/health/ready")
        found: dict[str, Any] = answer.json()
        assert (answer.status_code == 200) == (found["status"] == "ready")
        checks: dict[str, str] = found["checks"]
        return checks

    async def await_check(self, name: str, *outcomes: str) -> None:
        """Waits until readiness says one of these."""

        async def probe() -> bool:
            return (await self.checks())[name] in outcomes

        await eventually(probe, what=f"{name} {outcomes}")

    def resident_mb(self) -> float:
        """Memory of the process."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) / 1024

    def log(self) -> str:
        """What the process has said."""
        return self.process.log.read_text()

    async def ends_as_the_log_says(self, reachable: Settings | None = None) -> Verification:
        """Waits until all is drained; live state and reference agree byte for byte."""
        settings = reachable or self.settings
        assert await wait_until_drained(settings, DRAINED_S)
        found = await verify(settings)
        assert (found.different, found.lost, found.applied_twice) == (0, 0, 0), found
        assert found.balanced
        assert found.received == self.written
        assert found.deduplicated > 0
        assert "shopper-" not in self.log()
        return found


@asynccontextmanager
async def folding(settings: Settings, folder: Path, *, seed: int = 7) -> AsyncIterator[Folding]:
    """Starts the process; it is stopped at the end."""
    port = free_port()
    command = [sys.executable, "-P", "-m", "services.cli", "profile", "--port", str(port)]
    named = environment(settings) | {"ATTUNE_PROFILE_INSTANCE": "profile-1"}
    process = await asyncio.to_thread(
        Guarded.start, command, log=folder / "profile.log", environment=named
    )
    try:
        async with httpx.AsyncClient(base_url=f"http://{HOST}:{port}", timeout=10) as client:
            run = Folding(settings, process, port, client, traffic(seed))

            async def ready() -> bool:
                try:
                    return set((await run.checks()).values()) == {"ok"}
                except httpx.TransportError:
                    return False

            await eventually(ready, what="profile ready")
            yield run
    finally:
        await asyncio.to_thread(process.stop)
