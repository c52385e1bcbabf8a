"""The collector as a process, over HTTP, on the embedded broker: answers and what the log got."""

import asyncio
import gzip
import json
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import jwt
import pytest

from services.local.broker import EmbeddedBroker
from shared.bus import Record
from shared.clock import real_now_ms
from shared.headers import find, find_int
from shared.identity_tokens import EDDSA, TokenKey, new_ed25519_pair
from shared.settings import Settings
from tests.fixtures.collectors import (
    collector_command,
    collector_process,
    environment,
    key_store,
    make_key,
    raw_records,
)
from tests.fixtures.waiting import eventually

ORIGIN = "https://shop.example"
PRIVATE, PUBLIC = new_ed25519_pair()


@dataclass(frozen=True, slots=True)
class Deployment:
    """One collector that the tests of this module share; each test has event ids of its own."""

    settings: Settings
    url: str
    server: str
    browser: str
    no_identify: str
    no_events: str


@pytest.fixture(scope="module")
def deployment(
    embedded_broker: EmbeddedBroker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployment]:
    settings = embedded_broker.adapt(
        Settings(
            environment="test",
            namespace=f"t{uuid.uuid4().hex[:10]}",
            partitions=2,
            database=f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('collector') / 'attune.db'}",
        )
    )
    embedded_broker.create_all(settings)

    async def prepare() -> tuple[str, ...]:
        async with key_store(settings) as store:
            await store.add_token_key(TokenKey("k1", EDDSA, PUBLIC), real_now_ms())
        return (
            await make_key(settings, "server"),
            await make_key(settings, "browser"),
            await make_key(settings, "server", ["events"]),
            await make_key(settings, "server", ["recommend"]),
        )

    keys = asyncio.run(prepare())
    with collector_process(settings) as running:
        yield Deployment(settings, running.url, *keys)


class Shop:
    """A caller with one key, whose events all carry ids of this test."""

    def __init__(self, deployment: Deployment, client: httpx.AsyncClient) -> None:
        self.deployment = deployment
        self.client = client
        self.id = uuid.uuid4().hex[:12]

    def event(self, number: int = 0, **fields: object) -> bytes:
        base = {
            "type": "item_viewed",
            "event_id": f"{self.id}-{number}",
            "customer": "c1",
            "item": "i1",
        }
        return json.dumps({k: v for k, v in (base | fields).items() if v is not ...}).encode()

    async def send(
        self, body: bytes, path: str = "/v1/events", *, key: str | None = None, **headers: str
    ) -> httpx.Response:
        sent = {"authorization": f"Bearer {key or self.deployment.server}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.client.post(path, content=body, headers=sent)

    async def arrived(self, topic: str = "clickstream") -> list[Record]:
        found = await raw_records(self.deployment.settings, topic)
        return [record for record in found if self.id.encode() in (record.value or b"")]


@pytest.fixture
async def shop(deployment: Deployment):
    async with httpx.AsyncClient(base_url=deployment.url, timeout=30) as client:
        yield Shop(deployment, client)


def error_of(response: httpx.Response) -> str:
    body = response.json()["error"]
    assert body["message"]
    return body["code"]


def token(sub: str = "c1", key: str = PRIVATE, seconds: int = 60) -> str:
    claims = {"sub": sub, "exp": int(time.time()) + seconds}
    return jwt.encode(claims, key, algorithm="EdDSA", headers={"kid": "k1"})


async def test_a_single_event_is_in_the_log_when_it_is_answered(shop: Shop) -> None:
    before = real_now_ms()
    answer = await shop.send(shop.event())
    assert answer.status_code == 200
    assert answer.json() == {
        "results": [{"index": 0, "status": "accepted", "event_id": f"{shop.id}-0"}],
        "accepted": 1,
        "dead_lettered": 0,
        "rejected": 0,
    }
    (record,) = await shop.arrived()
    assert record.value == shop.event()
    assert record.key == b"c:c1"
    assert find(record.headers, "format") == "native"
    assert find(record.headers, "auth") == "server"
    for name in ("at", "received_at"):
        assert before <= (find_int(record.headers, name) or 0) <= real_now_ms()


async def test_each_event_of_a_batch_gets_its_own_result(shop: Shop) -> None:
    events = [
        shop.event(0),
        shop.event(1, type="exploded"),
        shop.event(2, price=-5, currency="EUR"),
        b'{"event_id":"%s-3","x":NaN}' % shop.id.encode(),
        b'{"event_id":"%s-4","x":"\xff"}' % shop.id.encode(),
        shop.event(5, padding="x" * 33_000),
        shop.event(6, type="purchased", order="o", total=1, currency="EUR", lines=[{"item": "i"}]),
    ]
    answer = await shop.send(b'{"events":[' + b",".join(events) + b"]}")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["accepted"], body["dead_lettered"], body["rejected"]) == (2, 4, 1)
    assert [(result["status"], result.get("reason")) for result in body["results"]] == [
        ("accepted", None),
        ("dead_lettered", "unknown_type"),
        ("dead_lettered", "negative_price"),
        ("dead_lettered", "nan"),
        ("dead_lettered", "bad_utf8"),
        ("rejected", "too_large"),
        ("accepted", None),
    ]
    arrived = sorted(record.value or b"" for record in await shop.arrived())
    assert arrived == sorted(events[:5])
    assert [record.value for record in await shop.arrived("purchases")] == events[6:]


@pytest.mark.parametrize("content_type", ["application/x-ndjson", "application/json"])
async def test_json_lines_are_taken(shop: Shop, content_type: str) -> None:
    body = shop.event(0) + b"\n\n" + shop.event(1) + b"\n"
    answer = await shop.send(body, content_type=content_type)
    assert answer.json()["accepted"] == 2
    assert len(await shop.arrived()) == 2


async def test_gzip_is_taken_and_truncated_gzip_is_not(shop: Shop) -> None:
    packed = gzip.compress(b"[" + shop.event(0) + b"," + shop.event(1) + b"]")
    answer = await shop.send(packed, content_encoding="gzip")
    assert answer.json()["accepted"] == 2
    cut = await shop.send(packed[:-6], content_encoding="gzip")
    assert (cut.status_code, error_of(cut)) == (400, "malformed_body")
    other = await shop.send(packed, content_encoding="br")
    assert (other.status_code, error_of(other)) == (415, "unsupported_encoding")


async def test_sizes_are_bounded(shop: Shop) -> None:
    one = await shop.send(shop.event(padding="x" * 33_000))
    assert (one.status_code, error_of(one)) == (413, "too_large")
    megabyte = await shop.send(shop.event(padding="x" * 1_000_000))
    assert (megabyte.status_code, error_of(megabyte)) == (413, "too_large")
    bomb = await shop.send(gzip.compress(b" " * 50_000_000), content_encoding="gzip")
    assert (bomb.status_code, error_of(bomb)) == (413, "too_large")
    many = await shop.send(b"[" + b"{}," * 6_000 + b"{}]")
    assert (many.status_code, error_of(many)) == (413, "too_large")
    assert await shop.arrived() == []
    full = b"[" + b",".join(shop.event(n, padding="x" * 24_000) for n in range(20)) + b"]"
    assert len(full) > 480_000
    assert (await shop.send(full)).json()["accepted"] == 20


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "empty_batch"),
        (b"[]", "empty_batch"),
        (b'{"events":[]}', "empty_batch"),
        (b"nonsense", "malformed_body"),
        (b'{"type":', "malformed_body"),
        (b'{"type":NaN}', "malformed_body"),
        (b"\xff\xfe", "malformed_body"),
    ],
)
async def test_a_body_that_holds_no_events_is_refused(shop: Shop, body: bytes, code: str) -> None:
    answer = await shop.send(body)
    assert (answer.status_code, error_of(answer)) == (400, code)


async def test_a_deeply_nested_event_is_kept_for_the_dead_letters(shop: Shop) -> None:
    deep = b'{"event_id":"%s","x":' % shop.id.encode() + b"[" * 9_000 + b"]" * 9_000 + b"}"
    answer = await shop.send(deep)
    assert answer.json()["results"][0]["reason"] == "too_deep"
    assert [record.value for record in await shop.arrived()] == [deep]


async def test_keys_are_required_and_their_scopes_hold(shop: Shop) -> None:
    nobody = await shop.client.post("/v1/events", content=shop.event())
    assert (nobody.status_code, error_of(nobody)) == (401, "unauthenticated")
    assert nobody.headers["www-authenticate"] == "Bearer"
    forged = await shop.send(shop.event(), key=shop.deployment.server[:-2] + "xx")
    assert (forged.status_code, error_of(forged)) == (401, "unauthenticated")
    narrow = await shop.send(shop.event(), key=shop.deployment.no_events)
    assert (narrow.status_code, error_of(narrow)) == (403, "forbidden")
    assert await shop.arrived() == []


async def test_a_revoked_key_stops_within_five_seconds_and_a_new_one_works(shop: Shop) -> None:
    settings = shop.deployment.settings
    key = await make_key(settings, "browser")

    async def status() -> int:
        return (await shop.send(shop.event(anonymous="a"), key=key)).status_code

    async def works() -> bool:
        return await status() == 200

    async def refused() -> bool:
        return await status() == 401

    await eventually(works, within_s=5)
    async with key_store(settings) as store:
        await store.revoke(key.split("_")[2], real_now_ms())
    await eventually(refused, within_s=5)


async def test_only_proof_makes_a_browser_speak_for_a_customer(shop: Shop) -> None:
    browser = shop.deployment.browser
    claimed = await shop.send(shop.event(0, anonymous="a1"), key=browser)
    alone = await shop.send(shop.event(1), key=browser)
    proved = await shop.send(
        shop.event(2, anonymous="a1"), key=browser, attune_identity_token=token()
    )
    inside = await shop.send(
        shop.event(3, anonymous="a1", context={"identity_token": token()}), key=browser
    )
    forged = await shop.send(
        shop.event(4, anonymous="a1", context={"identity_token": token(key=new_ed25519_pair()[0])}),
        key=browser,
    )
    assert [answer.status_code for answer in (claimed, alone, proved, inside, forged)] == [200] * 5
    assert alone.json()["results"][0]["reason"] == "unverified_identity"
    by_id = {json.loads(record.value or b"")["event_id"]: record for record in await shop.arrived()}
    found = [by_id[f"{shop.id}-{number}"] for number in range(5)]
    assert [record.key for record in found] == [b"a:a1", None, b"c:c1", b"c:c1", b"a:a1"]
    subjects = [find(record.headers, "subject") for record in found]
    assert subjects == [None, None, "c1", "c1", None]
    assert {find(record.headers, "auth") for record in found} == {"browser"}


async def test_a_token_in_the_header_that_proves_nothing_refuses_the_request(shop: Shop) -> None:
    browser = shop.deployment.browser
    for bad in (token(key=new_ed25519_pair()[0]), token(seconds=-1), "rubbish"):
        answer = await shop.send(shop.event(anonymous="a"), key=browser, attune_identity_token=bad)
        assert (answer.status_code, error_of(answer)) == (401, "unauthenticated")
    assert await shop.arrived() == []


async def test_a_server_key_without_the_scope_is_trusted_as_little_as_a_browser(shop: Shop) -> None:
    answer = await shop.send(shop.event(anonymous="a1"), key=shop.deployment.no_identify)
    assert answer.json()["accepted"] == 1
    (record,) = await shop.arrived()
    assert (record.key, find(record.headers, "auth")) == (b"a:a1", "browser")


async def test_a_beacon_is_taken(shop: Shop) -> None:
    answer = await shop.client.post(
        "/v1/events",
        params={"key": shop.deployment.browser},
        content=shop.event(anonymous="a1"),
        headers={"content-type": "text/plain;charset=UTF-8", "origin": ORIGIN},
    )
    assert answer.json()["accepted"] == 1
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-credentials" not in answer.headers


async def test_browsers_are_answered_before_and_after_they_ask(shop: Shop) -> None:
    preflight = await shop.client.options(
        "/v1/events",
        headers={
            "origin": ORIGIN,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type,attune-identity-token",
        },
    )
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == "*"
    allowed = preflight.headers["access-control-allow-headers"].lower()
    assert "authorization" in allowed
    assert "attune-identity-token" in allowed
    refused = await shop.client.post("/v1/events", content=b"", headers={"origin": ORIGIN})
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == "*"  # or pages could not read why


CALLS = {
    "track": {"event": "Product Viewed", "properties": {"product_id": "p1"}},
    "identify": {"traits": {"country": "DE"}},
    "page": {"name": "Home"},
    "screen": {"name": "Home"},
    "alias": {"previousId": "a1"},
}


@pytest.mark.parametrize("call", CALLS)
async def test_each_call_of_segments_api_is_taken(shop: Shop, call: str) -> None:
    body = {"messageId": f"{shop.id}-0", "userId": "u1", "anonymousId": "a1", **CALLS[call]}
    answer = await shop.client.post(f"/v1/{call}", json=body, auth=(shop.deployment.server, ""))
    assert answer.json()["accepted"] == 1
    (record,) = await shop.arrived()
    assert json.loads(record.value or b"") == {"type": call, **body}
    assert find(record.headers, "format") == "segment"
    assert record.key == b"c:u1"


async def test_a_group_call_is_kept_and_said_to_be_unknown(shop: Shop) -> None:
    body = {"messageId": shop.id, "userId": "u1", "groupId": "g"}
    answer = await shop.client.post("/v1/group", json=body, auth=(shop.deployment.server, ""))
    assert answer.json()["results"][0]["reason"] == "unknown_type"
    assert len(await shop.arrived()) == 1


async def test_a_batch_may_carry_its_key_and_its_time(shop: Shop) -> None:
    event = {"type": "track", "messageId": shop.id, "anonymousId": "a1", **CALLS["track"]}
    body = {"writeKey": shop.deployment.browser, "sentAt": "2026-01-01T00:00:00Z", "batch": [event]}
    for path in ("/v1/batch", "/v1/import", "/v1/b"):
        answer = await shop.client.post(path, json=body)
        assert answer.json()["accepted"] == 1
    records = await shop.arrived()
    assert len(records) == 3
    assert {find(record.headers, "sent_at") for record in records} == {"1767225600000"}


async def test_a_segment_order_goes_to_purchases(shop: Shop) -> None:
    products = [{"product_id": "p", "price": 9.5, "quantity": 2}]
    body = {
        "messageId": shop.id,
        "userId": "u1",
        "event": "Order Completed",
        "properties": {"order_id": "o", "total": 19, "currency": "EUR", "products": products},
    }
    answer = await shop.client.post("/v1/track", json=body, auth=(shop.deployment.server, ""))
    assert answer.json()["accepted"] == 1
    assert len(await shop.arrived("purchases")) == 1
    assert await shop.arrived() == []


async def test_metrics_tell_counts_and_nobody(shop: Shop) -> None:
    await shop.send(shop.event(customer="somebody-in-particular"))
    shown = (await shop.client.get("/metrics")).text
    assert 'attune_collector_requests_total{endpoint="events",status="200"}' in shown
    assert 'attune_collector_events_total{reason="",status="accepted"}' in shown
    assert "attune_collector_ack_seconds_bucket" in shown
    assert "attune_collector_in_flight_events 0.0" in shown
    assert "somebody" not in shown
    assert shop.deployment.server.split("_")[2] not in shown


async def test_what_is_not_there_is_not_found(shop: Shop) -> None:
    missing = await shop.client.post("/v1/nothing")
    assert (missing.status_code, error_of(missing)) == (404, "not_found")
    read = await shop.client.get("/v1/events")
    assert (read.status_code, error_of(read)) == (405, "method_not_allowed")


def test_a_port_in_use_is_one_clear_line(deployment: Deployment) -> None:
    port = int(deployment.url.rsplit(":", 1)[1])
    ended = subprocess.run(
        collector_command(port),
        env=environment(deployment.settings),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2
    expected = f"attune: cannot listen on 127.0.0.1:{port}: Address already in use\n"
    assert ended.stderr.decode() == expected
