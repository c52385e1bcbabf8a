"""The recommend application on a real store and the embedded broker."""

from dataclasses import replace
from typing import Any

import pytest

from services.local.store import EmbeddedStore
from services.recommend.candidates.sessions import SessionIndex
from services.recommend.learning import Learned
from services.recommend.numbers import ItemNumbers
from services.recommend.settings import RecommendSettings
from services.recommend.store import ProfileReader
from shared import bus
from shared.decisions import Decision, decode_decision
from shared.events import Line, Purchased
from shared.keys import Keys
from shared.models.metadata import Metadata
from shared.models.store import ModelStore
from shared.profile import Session, View
from shared.settings import Settings
from shared.topics import DECISIONS
from tests.fixtures.learned_parts import parts_of
from tests.fixtures.waiting import eventually
from tests.integration.recommend.running import GENERATION, Running, produce, running, viewed


async def test_a_profile_is_answered_with_reasons_and_a_record_is_left(
    embedded_settings: Settings,
) -> None:
    async with running(embedded_settings) as shop:
        view = View(
            clock=9,
            events=3,
            session=Session(1, 2, ["i1"]),
            bought=["i5"],
            affinities={"category": [("c1", 1_000)]},
        )
        await shop.profile("c:known", view)
        answer = await shop.ask({"customer": "known", "n": 3, "placement": "cart", "explain": True})
        assert (answer["fallback"], answer["consent_mode"]) == ("none", "profiled")
        assert answer["profile"] == {"events": 3, "clock": 9}
        assert 0 <= answer["profile_age_ms"] < 60_000
        assert [item["rank"] for item in answer["items"]] == [1, 2, 3]
        assert all(item["reasons"] for item in answer["items"])
        assert answer["items"][0]["reasons"][0]["evidence"]["value"] == "c1"
        everything = await shop.ask({"customer": "known", "n": 100})
        assert "i5" not in [item["id"] for item in everything["items"]]

        async def recorded() -> Decision | None:
            topic = DECISIONS.named(shop.settings.namespace)
            async for records in bus.scan(shop.settings, topic):
                for record in records:
                    decision = decode_decision(record.value or b"")
                    if decision.decision_id == answer["decision_id"]:
                        assert record.key == decision.decision_id.encode()
                        return decision
            return None

        decision = await eventually(recorded, what="the record is in the log")
        assert (decision.placement, decision.customer) == ("cart", "known")
        assert [item.id for item in decision.answer.items] == [i["id"] for i in answer["items"]]
        assert len(decision.feature_values) == len(decision.propensities) == 3
        assert decision.feature_values[0][decision.feature_names.index("category")] == 1.0


async def test_a_shopper_is_read_in_one_round_trip(
    embedded_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[list[str]] = []
    real = ProfileReader._send

    def send(self: ProfileReader, batch: Any) -> None:
        sent.append(list(batch.keys))
        real(self, batch)

    monkeypatch.setattr(ProfileReader, "_send", send)
    async with running(embedded_settings) as shop:
        for identity in ("c:alice", "a:v"):
            await shop.profile(identity, View(events=1))
        sent.clear()
        await shop.ask({"customer": "alice", "anonymous": "v", "n": 3})
    keys = Keys(embedded_settings.namespace, GENERATION)
    assert [sorted(batch) for batch in sent] == [[keys.profile("a:v"), keys.profile("c:alice")]]


async def test_what_happens_is_learned_while_it_runs(embedded_settings: Settings) -> None:
    async with running(embedded_settings) as shop:
        order = Purchased(
            event_id="o",
            occurred_at=5,
            received_at=5,
            customer="c",
            order="o",
            lines=[Line(item="i9"), Line(item="i13")],
            total=1,
            currency="EUR",
        )
        await produce(
            shop.settings, viewed("i3", 1, "a"), viewed("i7", 2, "a"), viewed("i3", 1, "b"), order
        )

        async def learned() -> bool:
            session = await shop.ask({"session": ["i3"], "n": 1})
            cart = await shop.ask({"context": {"cart": ["i9"]}, "n": 1})
            found = [session["items"][0]["id"], cart["items"][0]["id"]]
            return found == ["i7", "i13"]

        await eventually(learned, what="sessions and baskets are learned live")
        answer = await shop.ask({"session": ["i3"], "n": 1})
        assert answer["fallback"] == "no_profile"
        assert answer["items"][0]["reasons"][0]["code"] == "similar_sessions"


async def test_item_statistics_become_trends(embedded_settings: Settings) -> None:
    from redis.asyncio import Redis

    async with running(embedded_settings) as shop:
        keys = Keys(shop.settings.namespace, GENERATION)
        async with Redis.from_url(shop.settings.redis) as client:
            await client.hset(keys.item_bucket(1, 480_000), "i11", "40,3,1,0,0")
            await client.zadd(keys.item_buckets(1), {"480000": 480_000})
            await client.set(keys.item_position(1), "9")

        async def trends() -> bool:
            answer = await shop.ask({"n": 1})
            return bool(answer["fallback"] == "trending" and answer["items"][0]["id"] == "i11")

        await eventually(trends, what="statistics are read")
        answer = await shop.ask({"n": 1})
        assert answer["items"][0]["reasons"][0]["evidence"]["views"] == 40


async def test_without_the_store_the_request_alone_is_answered(
    embedded_settings: Settings, own_store: EmbeddedStore
) -> None:
    settings = replace(embedded_settings, redis=own_store.url)
    async with running(settings) as shop:
        await shop.profile("c:known", View(events=1, affinities={"category": [("c1", 1)]}))
        await eventually(lambda: _rung(shop, "none"), what="the profile is read")
        own_store.kill()
        answer = await shop.ask({"customer": "known", "n": 3})
        assert answer["fallback"] in {"trending", "catalogue"}
        assert answer["profile_age_ms"] is None
        assert len(answer["items"]) == 3
        assert (await shop.http.get("/health/ready")).status_code == 503
        assert (await shop.http.get("/health/live")).status_code == 200
        metrics = (await shop.http.get("/metrics")).text
        assert "attune_recommend_store_errors_total" in metrics
        assert 'attune_recommend_fallbacks_total{fallback="' in metrics
        own_store.restart()
        await eventually(lambda: _rung(shop, "none"), what="the store is found again")


async def _rung(shop: Running, fallback: str) -> bool:
    answer = await shop.ask({"customer": "known", "n": 1})
    return bool(answer["fallback"] == fallback)


async def test_a_browser_key_reads_no_customers_profile(embedded_settings: Settings) -> None:
    async with running(embedded_settings) as shop:
        await shop.profile("c:known", View(events=1, affinities={"category": [("c1", 1)]}))
        await shop.profile("a:visitor", View(events=1, affinities={"category": [("c2", 1)]}))
        claimed = await shop.ask({"customer": "known"}, key=shop.browser)
        assert (claimed["fallback"], claimed["profile_age_ms"]) == ("catalogue", None)
        forged = {"Attune-Identity-Token": "a.b.c"}
        assert (await shop.ask({"customer": "known"}, key=shop.browser, **forged))[
            "profile_age_ms"
        ] is None
        visitor = await shop.ask({"anonymous": "visitor", "explain": True}, key=shop.browser)
        assert visitor["profile"] == {"events": 1, "clock": 0}
        both = await shop.ask({"customer": "known", "anonymous": "visitor"})
        assert both["items"][0]["reasons"][0]["evidence"]["value"] == "c1"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, "JSON"),
        (b'{"n":0}', 400, "$.n"),
        (b'{"unknown":1}', 400, "unknown"),
        (b'{"session":"' + b"x" * 40_000 + b'"}', 413, "32768"),
    ],
)
async def test_bad_requests(
    embedded_settings: Settings, body: bytes, status: int, said: str
) -> None:
    async with running(embedded_settings, items=1) as shop:
        headers = {"Authorization": f"Bearer {shop.server}", "Origin": "https://shop.example"}
        response = await shop.http.post("/v1/recommend", content=body, headers=headers)
        assert response.status_code == status
        assert said in response.json()["error"]["message"]
        assert response.headers["access-control-allow-origin"] == "https://shop.example"


async def test_keys_scopes_and_queries(embedded_settings: Settings) -> None:
    async with running(embedded_settings, items=2) as shop:
        assert (await shop.http.post("/v1/recommend", json={})).status_code == 401
        admin = {"Authorization": f"Bearer {shop.admin}"}
        assert (await shop.http.get("/v1/recommend", headers=admin)).status_code == 403
        server = {"Authorization": f"Bearer {shop.server}"}
        found = await shop.http.get("/v1/recommend?n=1&session=i0", headers=server)
        assert len(found.json()["items"]) == 1
        assert (await shop.http.get("/v1/recommend?x=1", headers=server)).status_code == 400
        preflight = await shop.http.options(
            "/v1/recommend", headers={"Origin": "https://x.example"}
        )
        assert preflight.status_code == 204
        assert "access-control-allow-origin" not in preflight.headers
        for method, path, status, code in (
            ("PUT", "/v1/recommend", 405, "method_not_allowed"),
            ("GET", "/v1/nothing", 404, "not_found"),
            ("POST", "/", 404, "not_found"),
        ):
            refused = await shop.http.request(method, path, headers=server)
            assert refused.status_code == status
            assert refused.json()["error"]["code"] == code
        refused = await shop.http.get("/v1/admin/items?limit=0", headers=admin)
        assert refused.status_code == 400
        assert refused.json()["error"]["code"] == "invalid_input"
        assert refused.json()["error"]["message"].startswith("limit: ")


async def test_a_newer_model_takes_over_without_a_failed_request(
    embedded_settings: Settings,
) -> None:
    async with running(embedded_settings) as shop:
        learned = Learned(ItemNumbers(), SessionIndex(capacity=100))
        learned.sessions.begin([learned.numbers.number(item) for item in ("i2", "i17")])
        store = ModelStore.open(shop.settings.models)
        metadata = Metadata(name="linear", version="v1", trained_at="2026-01-01T00:00:00Z")
        store.save(metadata, learned.numbers.ids, parts_of(learned))
        assert (await shop.ask({}))["model"]["version"] == "untrained"
        store.promote("v1", 1)

        async def swapped() -> bool:
            answer = await shop.ask({"session": ["i2"], "n": 1})
            return bool(answer["model"]["version"] == "v1" and answer["items"][0]["id"] == "i17")

        await eventually(swapped, what="the new model answers")
        await produce(shop.settings, viewed("i2", 10, "a"), viewed("i4", 11, "a"))

        async def goes_on() -> bool:
            answer = await shop.ask({"session": ["i2"], "n": 2})
            return {"i17", "i4"} == {item["id"] for item in answer["items"]}

        await eventually(goes_on, what="the live tail goes on under the new model")


async def test_the_random_arm_by_setting(embedded_settings: Settings) -> None:
    own = RecommendSettings(random_share=1.0, store_deadline_ms=2_000, deadline_ms=4_000)
    async with running(embedded_settings, own) as shop:
        answer = await shop.ask({"anonymous": "x", "n": 4})
        assert answer["arm"] == "random"
        assert all(item["explore"] for item in answer["items"])
        assert answer["items"][0]["reasons"][0]["code"] == "exploration"
