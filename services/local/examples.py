"""A few customers of a private system, with their profiles, their offers and the reasons."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import aiohttp
import msgspec

from services.local.reasons import in_words
from services.local.system import System
from services.profile.verify.check import live_store
from shared.errors import Unavailable
from shared.events import customer_key
from shared.profile import KIND_NAMES, View, decode_view
from shared.store import open_redis

ASKED_S: Final = 10.0
EXAMPLES: Final = 3


async def read_examples(
    system: System, customers: Sequence[Mapping[str, Any]], titles: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Some of `customers` (as the shop describes them) with what Attune knows and would offer.

    Two with personalised and one with random offers, where there are as many. Raises Unavailable
    where the store or recommend do not answer.
    """
    keys = [customer_key(entry["customer"]) for entry in customers]
    async with open_redis(system.settings) as redis:
        store = await live_store(system.settings, redis)
        views = await store.views(keys)
    timeout = aiohttp.ClientTimeout(total=ASKED_S)
    headers = {"Authorization": f"Bearer {system.keys.server}"}
    found = []
    async with aiohttp.ClientSession(timeout=timeout, headers=headers) as session:
        for entry, key in zip(customers, keys, strict=True):
            answer = await _ask(session, system, entry)
            view = decode_view(views[key]) if views[key] else View()
            found.append({**entry, "profile": _profile(view), **_offers(answer, titles)})
    return _chosen(found)


async def _ask(
    session: aiohttp.ClientSession, system: System, entry: Mapping[str, Any]
) -> dict[str, Any]:
    body = {
        "customer": entry["customer"],
        "placement": "home",
        "n": 3,
        "context": {"country": entry["country"]},
        "explain": True,
    }
    async with session.post(
        system.recommend + "/v1/recommend", data=msgspec.json.encode(body)
    ) as answer:
        content = await answer.read()
        if answer.status != 200:
            raise Unavailable(f"recommend answers {answer.status}: {content[:200]!r}")
    decoded: dict[str, Any] = msgspec.json.decode(content)
    return decoded


def _chosen(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    personalised = [example for example in found if example["arm"] == "personalised"]
    others = [example for example in found if example["arm"] != "personalised"]
    return [*personalised[: EXAMPLES - 1], *others, *personalised[EXAMPLES - 1 :]][:EXAMPLES]


def _profile(view: View) -> dict[str, Any]:
    return {
        "events": view.events,
        "orders": view.orders,
        "affinities": msgspec.to_builtins(view.affinities),
        "cart": view.cart,
        "bought": view.bought[:5],
        "recent": [
            {"at": interest.at, "event": KIND_NAMES[interest.kind], "item": interest.item}
            for interest in view.recent[:5]
        ],
    }


def _offers(answer: Mapping[str, Any], titles: Mapping[str, str]) -> dict[str, Any]:
    offers = [
        {
            "rank": item["rank"],
            "item": item["id"],
            "title": titles.get(item["id"], item["id"]),
            "score": item["score"],
            "reasons": item["reasons"],
            "because": [in_words(reason, titles) for reason in item["reasons"]],
        }
        for item in answer["items"]
    ]
    return {"arm": answer["arm"], "fallback": answer["fallback"], "offers": offers}
