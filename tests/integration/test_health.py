"""Health routes over a real socket: live, ready only with what it needs, metrics."""

import asyncio
import signal

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from shared.errors import LogUnavailable, SettingsError
from shared.health import Remark, bind, health_server


async def fine() -> None:
    await asyncio.sleep(0)


async def gone() -> None:
    raise LogUnavailable("the log at 10.0.0.1:9092 does not answer")


async def stuck() -> None:
    await asyncio.sleep(60)


async def get(port: int, path: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=10) as client:
        return await client.get(path)


async def test_ready_when_every_dependency_answers() -> None:
    before = signal.getsignal(signal.SIGTERM)
    async with health_server({"log": fine, "store": fine}, port=0) as port:
        live, ready = await get(port, "/health/live"), await get(port, "/health/ready")
        assert signal.getsignal(signal.SIGTERM) is before
    assert live.json() == {"status": "live"}
    assert (ready.status_code, ready.json()) == (
        200,
        {"status": "ready", "checks": {"log": "ok", "store": "ok"}},
    )


async def test_not_ready_names_what_fails_and_how_but_no_address() -> None:
    async with health_server({"log": gone, "store": fine, "database": stuck}, port=0) as port:
        live, ready = await get(port, "/health/live"), await get(port, "/health/ready")
    assert live.status_code == 200
    assert ready.status_code == 503
    assert ready.json() == {
        "status": "not_ready",
        "checks": {"log": "LogUnavailable", "store": "ok", "database": "timeout"},
    }
    assert "10.0.0.1" not in ready.text


async def remarks() -> Remark:
    return Remark("version one stays, the file has 2 problems")


async def test_what_a_passing_check_remarks_is_told_and_is_ready() -> None:
    async with health_server({"log": fine, "scenarios": remarks}, port=0) as port:
        ready = await get(port, "/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    assert ready.json()["checks"] == {
        "log": "ok",
        "scenarios": "ok: version one stays, the file has 2 problems",
    }


async def test_metrics_are_those_of_the_registry() -> None:
    registry = CollectorRegistry()
    Counter("things", "counted", registry=registry).inc(3)
    async with health_server({}, port=0, registry=registry) as port:
        answer = await get(port, "/metrics")
    assert "things_total 3.0" in answer.text
    assert answer.headers["content-type"].startswith("text/plain")


async def test_a_port_in_use_is_named() -> None:
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=f"127.0.0.1:{port}: Address already in use"):
            async with health_server({}, port=port):
                pytest.fail("listened on a taken port")


async def test_the_port_is_free_again_after_the_end() -> None:
    async with health_server({}, port=0) as port:
        pass
    with pytest.raises(httpx.ConnectError):
        await get(port, "/health/live")
