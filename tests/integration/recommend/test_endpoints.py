"""Endpoints beside /v1/recommend, and what may be asked, on a real store and broker."""

from dataclasses import replace
from typing import Any

import httpx
import pytest

from services.recommend.settings import RecommendSettings
from shared import bus
from shared.profile import Session, View
from shared.settings import Settings
from shared.topics import DECISIONS
from tests.fixtures.waiting import eventually
from tests.integration.recommend.running import Running, running

CALM = RecommendSettings(store_deadline_ms=2_000, deadline_ms=4_000, explore_share=0.0)
LIKES = View(
    clock=9,
    events=3,
    session=Session(1, 2, ["i1"]),
    bought=["i5"],
    affinities={"category": [("c1", 1_000)]},
)


async def call(
    shop: Running,
    path: str,
    body: dict[str, Any] | None = None,
    *,
    key: str = "",
    status: int = 200,
) -> Any:
    headers = {"Authorization": f"Bearer {key or shop.server}", "Origin": "https://shop.example"}
    if body is None:
        response = await shop.http.get(path, headers=headers)
    else:
        response = await shop.http.post(path, json=body, headers=headers)
    assert response.status_code == status, response.text
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["access-control-allow-origin"] == "https://shop.example"
    return response.json()


def ids(answer: Any) -> list[str]:
    return [item["id"] for item in answer["items"]]


async def logged(shop: Running) -> int:
    found = 0
    topic = DECISIONS.named(shop.settings.namespace)
    async for records in bus.scan(shop.settings, topic, complete=False):
        found += len(records)
    return found


async def test_filters_and_what_they_withhold(embedded_settings: Settings) -> None:
    async with running(embedded_settings, CALM) as shop:
        answer = await shop.ask({"n": 100, "filters": {"category": {"any_of": ["c1", "c2"]}}})
        assert {int(item[1:]) % 4 for item in ids(answer)} == {1, 2}
        assert len(answer["items"]) == 10
        assert (await shop.ask({"filters": {"price": {"at_least": 101}}}))["items"] == []
        refused = await call(
            shop, "/v1/recommend", {"filters": {"price": {"at_most": "x"}}}, status=400
        )
        assert "filters.price.at_most" in refused["error"]["message"]


async def test_a_profile_is_left_alone_where_the_page_asks_for_it(
    embedded_settings: Settings,
) -> None:
    async with running(embedded_settings, CALM) as shop:
        await shop.profile("c:known", LIKES)
        answer = await shop.ask({"customer": "known", "n": 100, "context_only": True})
        assert (answer["consent_mode"], answer["profile_age_ms"]) == ("context_only", None)
        assert "i5" in ids(answer)
        visit = await shop.ask({"session_id": "known", "explain": True})
        assert visit["profile_age_ms"] is None


async def test_validate_only_decides_and_logs_nothing(embedded_settings: Settings) -> None:
    async with running(embedded_settings, CALM) as shop:
        stocked = await eventually(lambda: _settled(shop), what="nothing more is logged")
        asked = {
            "validate_only": True,
            "customer": "known",
            "n": 7,
            "surprise": 0.5,
            "objective": "revenue",
            "deadline_ms": 20,
            "filters": {"category": "c1", "heel": "high"},
        }
        answer = await call(shop, "/v1/recommend", asked)
        assert answer == {
            "valid": True,
            "placement": "home",
            "administered": False,
            "n": 7,
            "objective": "revenue",
            "surprise": 0.5,
            "explore_share": 0.0,
            "deadline_ms": 20,
            "identity": "customer",
            "matching": 0,
            "unknown_fields": ["heel"],
        }
        for path, body in (
            ("/v1/rerank", {"items": ["i1"]}),
            ("/v1/similar", {"item": "i1"}),
            ("/v1/trending", {}),
        ):
            found = await call(shop, path, body | {"validate_only": True})
            assert found["valid"] is True
        batch = {"placements": [{"placement": "a"}], "validate_only": True}
        assert (await call(shop, "/v1/recommend/batch", batch))["placements"][0]["valid"] is True
        last = await shop.ask({})
        await eventually(lambda: _found(shop, last["decision_id"]), what="the next is logged")
        assert await logged(shop) == stocked + 1


async def _settled(shop: Running) -> int:
    last = await shop.ask({})
    return await logged(shop) if await _found(shop, last["decision_id"]) else 0


async def _found(shop: Running, decision_id: str) -> bool:
    async def there() -> bool:
        headers = {"Authorization": f"Bearer {shop.server}"}
        found = await shop.http.get(f"/v1/decisions/{decision_id}", headers=headers)
        return found.status_code == 200

    return bool(await eventually(there, what="the decision is found"))


async def test_a_given_list_comes_back_in_order(embedded_settings: Settings) -> None:
    async with running(embedded_settings, CALM) as shop:
        await shop.profile("c:known", LIKES)
        given = ["i2", "never", "i9", "i5", "i3", "i9"]
        answer = await call(
            shop, "/v1/rerank", {"customer": "known", "items": given, "language": "en"}
        )
        assert ids(answer)[0] == "i9", "of the category that is liked"
        assert sorted(ids(answer)) == sorted(set(given))
        assert [item["rank"] for item in answer["items"]] == [1, 2, 3, 4, 5]
        assert [item.get("withheld") for item in answer["items"][-2:]] == ["bought", "unknown_item"]
        assert (
            answer["items"][0]["reasons"][0]["text"] == "You often choose the category c1 (100 %)."
        )
        await call(shop, "/v1/rerank", {"items": []}, status=400)
        await call(shop, "/v1/rerank", {"items": ["i1"] * 201}, status=400)


async def test_items_like_one_and_what_trends(embedded_settings: Settings) -> None:
    async with running(embedded_settings, CALM) as shop:
        for answer in (
            await call(shop, "/v1/similar?item=i1&n=3"),
            await call(shop, "/v1/similar", {"item": "i1", "n": 3}),
        ):
            assert len(answer["items"]) == 3
            assert all(int(item[1:]) % 4 == 1 and item != "i1" for item in ids(answer))
        await call(shop, "/v1/similar", {}, status=400)
        for answer in (
            await call(shop, "/v1/trending?category=c2&country=DE&n=4&language=ru"),
            await call(
                shop,
                "/v1/trending",
                {"category": "c2", "n": 4, "context": {"country": "DE"}, "language": "ru"},
            ),
        ):
            assert len(answer["items"]) == 4
            assert all(int(item[1:]) % 4 == 2 for item in ids(answer))
            assert answer["items"][0]["reasons"][0]["text"].endswith(".")
        await call(shop, "/v1/trending?country=germany", status=400)


async def test_a_batch_repeats_nothing(embedded_settings: Settings) -> None:
    async with running(embedded_settings, CALM) as shop:
        await shop.profile("c:known", LIKES)
        asked = {
            "customer": "known",
            "placements": [
                {"placement": "top", "n": 6},
                {"placement": "side", "n": 6, "filters": {"category": "c1"}},
                {"placement": "foot", "n": 20},
            ],
        }
        answers = (await call(shop, "/v1/recommend/batch", asked))["placements"]
        assert [answer["placement"] for answer in answers] == ["top", "side", "foot"]
        offered = [item for answer in answers for item in ids(answer)]
        assert len(offered) == len(set(offered)) == 19, "all but what was bought"
        assert len({answer["decision_id"] for answer in answers}) == 3
        for answer in answers:
            assert await _found(shop, answer["decision_id"])
        twice = {"placements": [{"placement": "a"}, {"placement": "a"}]}
        refused = await call(shop, "/v1/recommend/batch", twice, status=400)
        assert "placements[1]" in refused["error"]["message"]
        await call(shop, "/v1/recommend/batch", {"placements": []}, status=400)


async def test_a_past_decision_is_explained(embedded_settings: Settings) -> None:
    async with running(embedded_settings, CALM) as shop:
        await shop.profile("c:known", LIKES)
        answer = await shop.ask({"customer": "known", "n": 3, "placement": "cart"})
        path = f"/v1/decisions/{answer['decision_id']}"
        assert await _found(shop, answer["decision_id"])
        explained = await call(shop, f"{path}?language=ru")
        assert (explained["customer"], explained["placement"]) == ("known", "cart")
        assert ids(explained) == ids(answer)
        first = explained["items"][0]
        assert first["propensity"] == 1.0
        assert first["reasons"][0]["text"].startswith("Вы часто выбираете: категория c1")
        assert {each["name"] for each in first["features"]} >= {"category", "trend"}
        assert first["features"][0]["moved"] != 0
        assert [each["text"] for each in explained["filtered"]] == ["1 товар: уже куплено"]
        assert (await call(shop, path))["items"][0]["reasons"][0]["text"].startswith("You often")
        await call(shop, path, key=shop.browser, status=403)
        await call(shop, path, key=shop.admin, status=403)
        await call(shop, path[:-1] + ("0" if path[-1] != "0" else "1"), status=404)
        await call(shop, "/v1/decisions/x", status=400)
        await call(shop, f"{path}?language=de", status=400)


@pytest.mark.parametrize(
    "path", ["/v1/recommend/batch", "/v1/rerank", "/v1/similar", "/v1/trending"]
)
async def test_bad_calls(embedded_settings: Settings, path: str) -> None:
    async with running(embedded_settings, CALM, items=1) as shop:
        await call(shop, path, {"unknown": 1}, status=400)
        large: dict[str, Any] = {"session": ["x" * 120] * 300}
        await call(shop, path, large, status=413)
        await call(shop, path, {}, key="atn_server_x_y", status=401)
        await call(shop, path, {}, key=shop.admin, status=403)
        bodies = {
            "/v1/recommend/batch": {"placements": [{}]},
            "/v1/rerank": {"items": ["i0"]},
            "/v1/similar": {"item": "i0"},
            "/v1/trending": {},
        }
        await call(shop, path, bodies[path], key=shop.browser)
        preflight: httpx.Response = await shop.http.options(
            path, headers={"Origin": "https://shop.example"}
        )
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == "https://shop.example"


async def test_a_request_may_shorten_the_deadline(embedded_settings: Settings) -> None:
    own = replace(CALM, store_deadline_ms=1_000, deadline_ms=1_000)
    async with running(embedded_settings, own, items=3) as shop:
        metrics = (await shop.http.get("/metrics")).text
        assert "late_sources_total 0.0" in metrics
        for _ in range(3):
            answer = await shop.ask({"customer": "known", "n": 3, "deadline_ms": 1})
            assert len(answer["items"]) == 3
        await call(shop, "/v1/recommend", {"deadline_ms": 0}, status=400)
