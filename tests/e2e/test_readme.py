"""What README tells a newcomer to type works, word for word but for the ports."""

import asyncio
import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.local.servers import Servers
from services.local.system import System, embedded_servers, private_settings, running_system
from services.simulator.world import build
from tests.fixtures.servers import missing

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


def blocks(language: str, containing: str) -> list[str]:
    found = re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)
    return [block for block in found if containing in block]


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    with embedded_servers(tmp_path, private_settings(tmp_path)) as running:
        yield running


def adapted(block: str, system: System) -> str:
    return block.replace("http://127.0.0.1:8081", system.collector).replace(
        "http://127.0.0.1:8080", system.recommend
    )


async def run(*command: str, **variables: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command,
        env={"PATH": "/usr/bin:/bin", **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        stdout, stderr = await process.communicate()
    assert process.returncode == 0, stderr.decode()
    return stdout.decode()


async def test_the_commands_of_the_readme_work(servers: Servers, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        missing("no curl on PATH")
    event, offers, anonymous, batch, similar = blocks("sh", "curl")
    (segment,) = blocks("python", "segment.analytics")
    async with running_system(tmp_path, servers) as system:
        # the shop of the demo, which a newcomer types this into
        await system.load_catalogue([item.as_catalogue() for item in build("default", 1).items])
        key = system.keys.server
        taken = json.loads(await run("bash", "-c", adapted(event, system), KEY=key))
        assert [result["status"] for result in taken["results"]] == ["accepted"]
        await run(sys.executable, "-c", f"KEY = {key!r}\n" + adapted(segment, system))
        ask = adapted(offers, system)
        async with asyncio.timeout(60):
            while True:
                answer = json.loads(await run("bash", "-c", ask, KEY=key))
                # the view holds both events, and a fresh catalogue has arrived
                seen = (answer.get("profile") or {}).get("events", 0)
                if seen == 2 and len(answer["items"]) == 3:
                    break
                await asyncio.sleep(0.1)
        stranger = json.loads(await run("bash", "-c", adapted(anonymous, system), KEY=key))
        page = json.loads(await run("bash", "-c", adapted(batch, system), KEY=key))["placements"]
        like = json.loads(await run("bash", "-c", adapted(similar, system), KEY=key))
    offered = [item["id"] for placed in page for item in placed["items"]]
    assert len(offered) == len(set(offered)) == 4
    assert page[0]["items"][0]["reasons"][0]["text"]
    assert len(like["items"]) == 3
    assert "item-0001" not in [item["id"] for item in like["items"]]
    assert answer["fallback"] != "no_profile"
    assert len(stranger["items"]) == 3
