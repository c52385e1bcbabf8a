"""The servers Attune starts for itself: they come up, come back, and never outlive their parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import redis

from services.local.broker import EmbeddedBroker
from services.local.guard import Guarded
from services.local.ports import answers, free_ports
from services.local.store import Preference, embedded_store, start_store
from shared.errors import Unavailable

PARENT = """
import sys, time
from pathlib import Path
from services.local.broker import EmbeddedBroker
from services.local.store import start_store
store, broker = start_store(Path(sys.argv[1])), EmbeddedBroker.start()
print(store.port, broker.bootstrap.rpartition(":")[2], flush=True)
time.sleep(60)
"""


def wait_until(condition: object, within_s: float = 15.0) -> None:
    assert callable(condition)
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)


@pytest.mark.parametrize("prefer", ["bundled", "system"])
def test_a_killed_store_comes_back_with_what_it_had(tmp_path: Path, prefer: Preference) -> None:
    with embedded_store(tmp_path, prefer=prefer) as store:
        with redis.Redis.from_url(store.url) as client:
            client.hset("h", "field", b"x" * 1500)
            assert client.object("encoding", "h") == b"listpack"
            assert client.config_get("save") == {"save": ""}
            client.set("kept", "1")
            wait_until(lambda: client.info("persistence")["aof_pending_bio_fsync"] == 0)
        store.stop()
        assert not answers(store.port)
        store.restart()
        store.kill()
        store.restart()
        with redis.Redis.from_url(store.url) as client:
            assert client.get("kept") == b"1"


def test_a_store_on_a_taken_port_says_so(tmp_path: Path) -> None:
    with (
        embedded_store(tmp_path / "first") as store,
        pytest.raises(Unavailable, match="ended while starting"),
    ):
        start_store(tmp_path / "second", port=store.port)


def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="/no/such/program"):
        Guarded.start(["/no/such/program"], log=tmp_path / "log")


def test_a_server_that_will_not_listen_is_killed(tmp_path: Path) -> None:
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    server = Guarded.start([sys.executable, "-c", stubborn], log=tmp_path / "log")
    time.sleep(0.3)
    server.stop(timeout_s=0.3)
    assert not server.alive()
    with pytest.raises(ProcessLookupError):
        os.kill(server.pid, 0)


def test_no_server_outlives_a_parent_that_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        ports = [int(port) for port in parent.stdout.readline().split()]
        assert all(answers(port) for port in ports)
        parent.send_signal(signal.SIGKILL)
        wait_until(lambda: not any(answers(port) for port in ports))


def test_an_embedded_broker_stops_and_says_when_it_is_gone() -> None:
    broker = EmbeddedBroker.start()
    port = int(broker.bootstrap.rpartition(":")[2])
    broker.create("events", 2)
    broker.create("events", 2)
    assert answers(port)
    broker.stop()
    broker.stop()
    assert not broker.alive()
    assert not answers(port)
    with pytest.raises(Unavailable):
        broker.create("other", 1)


def test_free_ports_differ() -> None:
    ports = free_ports(20)
    assert len(set(ports)) == 20
