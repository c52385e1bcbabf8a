"""The servers of docker-compose.yml, run by hand with the settings that stand in it.

Only host names, ports and data folders are exchanged; everything else is taken as it is.
"""

import asyncio
import base64
import shutil
import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml

from services.local.apache import Apache, Missing, look_for_apache
from services.local.guard import Guarded
from services.local.ports import HOST, answers, free_port, free_ports
from shared import bus
from shared.settings import Settings
from tests.fixtures.servers import missing

COMPOSE: dict[str, Any] = yaml.safe_load(
    (Path(__file__).resolve().parents[2] / "docker-compose.yml").read_text()
)["services"]


def test_redis_takes_its_command_line(tmp_path: Path) -> None:
    if shutil.which("redis-server") is None:
        missing("no redis-server on PATH")
    port = free_port()
    command = [*COMPOSE["redis"]["command"], "--port", str(port), "--dir", str(tmp_path)]
    server = Guarded.start([*command, "--bind", HOST], log=tmp_path / "redis.log")
    try:
        server.await_ready(lambda: answers(port), 15, "redis-server")
        with redis.Redis(host=HOST, port=port) as client:
            settings = client.config_get("*")
            assert client.info("persistence")["aof_enabled"] == 1
    finally:
        server.stop()
    assert settings["appendfsync"] == "everysec"
    assert settings["save"] == ""
    assert settings["hash-max-listpack-value"] == "2048"
    assert settings["maxmemory-policy"] == "noeviction"


def properties(folder: Path, internal: int, controller: int, external: int) -> str:
    """The image turns KAFKA_A_B into the property a.b; so do we, with addresses of this machine."""
    settings = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): value
        for name, value in COMPOSE["kafka"]["environment"].items()
    }
    settings["log.dirs"] = str(folder / "data")
    text = "\n".join(f"{name}={value}" for name, value in settings.items())
    for host in ("//:", "//kafka:"):
        text = text.replace(host, f"//{HOST}:")
    text = text.replace("@kafka:", f"@{HOST}:")
    for written, free in (("9092", internal), ("9093", controller), ("9094", external)):
        text = text.replace(f":{written}", f":{free}")
    return text


def java(apache: Apache, *arguments: str) -> list[str]:
    return [apache.java, "-Xmx384m", "-XX:+UseSerialGC", "-cp", f"{apache.jars}/*", *arguments]


@pytest.mark.kafka
def test_kafka_takes_its_environment_and_the_topics(tmp_path: Path) -> None:
    apache = look_for_apache()
    if isinstance(apache, Missing):
        missing(apache.reason)
    internal, controller, external = free_ports(3)
    path = tmp_path / "server.properties"
    path.write_text(properties(tmp_path, internal, controller, external))
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    tool = ("kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "--config", str(path))
    subprocess.run(java(apache, *tool), check=True, capture_output=True, timeout=60)
    server = Guarded.start(java(apache, "kafka.Kafka", str(path)), log=tmp_path / "kafka.log")
    try:
        server.await_ready(lambda: answers(internal), 60, "Kafka")
        # the same settings as the one-shot service `topics`, at the address of this machine
        given = {**COMPOSE["topics"]["environment"], "ATTUNE_BOOTSTRAP": f"{HOST}:{internal}"}
        settings = Settings.from_environment(given)
        asyncio.run(bus.ensure_topics(settings))
        outside = Settings(bootstrap=f"{HOST}:{external}")
        partitions = asyncio.run(bus.partitions_of(outside, "events"))
        assert partitions == settings.partitions
    finally:
        server.stop()
