"""`attune recommend` as processes: started without a broker, several behind one port, and gone."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from services.local.ports import free_ports
from services.local.servers import environment
from services.recommend import main
from services.recommend.settings import RecommendSettings
from shared.auth import RECOMMEND, new_api_key
from shared.auth_store import KeyStore
from shared.database import Database
from shared.errors import LogUnavailable
from shared.health import bind
from shared.migrations import migrate
from shared.settings import Settings
from tests.fixtures.waiting import eventually


async def test_a_start_without_a_broker_is_one_error_and_leaves_no_port(
    base_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    monkeypatch.setattr(main, "LOG_START_S", 0.5)
    port, nobody = free_ports(2)
    settings = replace(base_settings, bootstrap=f"127.0.0.1:{nobody}")
    with bind("127.0.0.1", port) as listener, pytest.raises(LogUnavailable):
        await main.serve(settings, RecommendSettings(), listener)
    with socket.socket() as caller, pytest.raises(ConnectionRefusedError):
        caller.connect(("127.0.0.1", port))


@contextmanager
def two_workers(settings: Settings) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    (port,) = free_ports(1)
    process = subprocess.Popen(
        [sys.executable, "-m", "services.cli", "recommend", "--workers", "2", "--port", str(port)],
        env={**os.environ, **environment(settings)},
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process, f"http://127.0.0.1:{port}"
    finally:
        with suppress(OSError):
            for child in children_of(process.pid):
                os.kill(child, signal.SIGKILL)
        process.kill()
        process.wait()


def everybody() -> set[int]:
    return {int(name) for name in os.listdir("/proc") if name.isdigit()}


def children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def test_two_workers_share_a_port_and_stop_together(embedded_settings: Settings) -> None:
    await migrate(embedded_settings)
    key, kept = new_api_key("server", (RECOMMEND,))
    async with Database.open(embedded_settings) as database:
        await KeyStore(database).add(kept, 1)
    headers = {"Authorization": f"Bearer {key}"}

    with two_workers(embedded_settings) as (process, address):

        async def asked(path: str) -> int:
            # a connection of its own each time: one of both gets it
            async with httpx.AsyncClient(base_url=address, timeout=2.0) as http:
                try:
                    return (await http.get(path, headers=headers)).status_code
                except httpx.TransportError:
                    return 0

        async def ready() -> bool:
            return await asked("/health/ready") == 200

        async def answers() -> bool:
            return await asked("/v1/recommend?n=1") == 200

        await eventually(ready, within_s=60, what="a worker is ready")
        (child,) = children_of(process.pid)
        for one in (process.pid, child):
            os.kill(one, signal.SIGSTOP)
            # half of the connections go to the one that hangs
            await eventually(answers, within_s=60, what="the other answers alone")
            os.kill(one, signal.SIGCONT)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
        assert child not in everybody()


async def test_a_worker_that_dies_takes_all_with_it(embedded_settings: Settings) -> None:
    with two_workers(embedded_settings) as (process, _):

        async def forked() -> list[int]:
            return children_of(process.pid)

        (child,) = await eventually(forked, within_s=60, what="the second worker is there")
        os.kill(child, signal.SIGKILL)
        assert process.wait(timeout=60) == 1
