"""The admin endpoints, on SQLite and on PostgreSQL."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from services.recommend.catalogue.api import MOST_BULK_BYTES, Administration
from services.recommend.catalogue.kinds import ITEMS
from services.recommend.catalogue.repository import CatalogueRepository
from shared.catalogue import ItemChanged, decode, item_key
from shared.clock import Clock
from tests.fixtures.catalogue_admin import RING, SHOP_KEY, admin_client, application

NOW = 1_700_000_000_000
STOPPED = Clock(real_start=0, sim_start=NOW, speed=1e-15)


class Woken:
    count = 0

    def __call__(self) -> None:
        self.count += 1


@pytest.fixture
def woken() -> Woken:
    return Woken()


@pytest.fixture
def administration(repository: CatalogueRepository, woken: Woken) -> Administration:
    return Administration(repository, RING.authenticate, STOPPED, woken)


@pytest.fixture
async def client(administration: Administration) -> AsyncIterator[httpx.AsyncClient]:
    async with admin_client(administration) as opened:
        yield opened


KETTLE = {"title": "Kettle", "price": 2_550, "currency": "GBP", "stock": 3}


@pytest.mark.parametrize("item", ["kettle", "a/b c", "größe-ß", "x" * 128, "%2F", "items:bulk"])
async def test_an_item_comes_changes_and_goes(client: httpx.AsyncClient, item: str) -> None:
    address = httpx.URL(f"/v1/admin/items/{_quoted(item)}")
    put = await client.put(address, json=KETTLE)
    assert put.status_code == 200
    assert put.json()["item"] == item
    assert put.json()["changed_at"] == NOW

    patched = await client.patch(address, json={"stock": 0, "price": 2_000})
    assert patched.json() == put.json() | {"stock": 0, "price": 2_000}
    assert (await client.get(address)).json() == patched.json()

    assert (await client.delete(address)).status_code == 204
    for gone in (
        await client.get(address),
        await client.delete(address),
        await client.patch(address, json={"stock": 1}),
    ):
        assert gone.status_code == 404
        assert item in gone.json()["message"]


def _quoted(item: str) -> str:
    return "".join(f"%{byte:02X}" for byte in item.encode())


@pytest.mark.parametrize(
    ("plural", "body", "change"),
    [
        ("items", KETTLE, {"stock": None}),
        ("offers", {"items": ["a"], "percent_off": 20}, {"percent_off": 30, "valid_to": NOW}),
        ("placements", {"objective": "revenue", "n": 4}, {"n": 8}),
        (
            "placements",
            {
                "surprise": 0.3,
                "explore_share": 0.1,
                "cap": {"times": 3, "days": 7},
                "only_categories": ["shoes"],
                "never_categories": ["gifts"],
                "most_of_category": 2,
            },
            {"cap": {"times": 1, "days": 1}, "surprise": None},
        ),
    ],
)
async def test_every_kind_is_kept_marked_and_listed(
    client: httpx.AsyncClient,
    repository: CatalogueRepository,
    woken: Woken,
    plural: str,
    body: dict[str, Any],
    change: dict[str, Any],
) -> None:
    address = f"/v1/admin/{plural}/one"
    put = await client.put(address, json=body)
    assert put.status_code == 200
    patched = await client.patch(address, json=change)
    assert patched.json() == put.json() | change
    listed = await client.get(f"/v1/admin/{plural}")
    assert listed.json() == {plural: [patched.json()], "next": None}
    (pending,) = await repository.pending(10)
    assert pending.key == f"{plural.removesuffix('s')}:one"
    assert pending.value is not None
    assert decode(pending.value).changed_at == NOW
    await client.delete(address)
    (pending,) = await repository.pending(10)
    assert pending.value is None
    assert woken.count == 3


async def test_lists_come_in_pages(client: httpx.AsyncClient) -> None:
    names = [f"i{number}" for number in range(25)]
    lines = "\n".join(json.dumps({"item": name}) for name in names)
    await client.post("/v1/admin/items:bulk", content=lines)
    found: list[str] = []
    after = None
    while True:
        query = {"limit": 10} | ({"after": after} if after else {})
        page = (await client.get("/v1/admin/items", params=query)).json()
        found.extend(item["item"] for item in page["items"])
        after = page["next"]
        if after is None:
            break
    assert found == sorted(names)


@pytest.mark.parametrize("query", [{"limit": 0}, {"limit": 1001}, {"limit": "x"}])
async def test_pages_have_bounds(client: httpx.AsyncClient, query: dict[str, Any]) -> None:
    assert (await client.get("/v1/admin/items", params=query)).status_code == 422


BAD_BODIES: list[tuple[bytes, str]] = [
    (b"", "malformed JSON"),
    (b"{", "malformed JSON"),
    (b'{"title": "\xff"}', "malformed JSON"),
    (b'{"price": NaN}', "malformed JSON"),
    (b"[" * 20_000, "nested too deeply"),
    (b"[]", "object"),
    (b'{"price": -1, "currency": "EUR"}', "$.price"),
    (b'{"price": 1, "currency": "eur"}', "$.currency"),
    (b'{"price": 1}', "currency"),
    (b'{"colour": "red"}', "unknown fields: 'colour'"),
    (b'{"valid_from": "9999-12-31"}', "$.valid_from"),
    (b'{"valid_from": "1960-01-01"}', "$.valid_from"),
    (b"\x1f\x8b\x08\x00", "truncated"),
]


@pytest.mark.parametrize(("body", "named"), BAD_BODIES)
async def test_bad_bodies_name_what_is_wrong_and_change_nothing(
    client: httpx.AsyncClient, repository: CatalogueRepository, body: bytes, named: str
) -> None:
    answer = await client.put("/v1/admin/items/a", content=body)
    assert answer.status_code == 400
    assert named in answer.json()["message"]
    assert await repository.pending(10) == []
    assert await repository.count(ITEMS) == 0


async def test_ids_that_are_too_long_and_bodies_that_are_too_large(
    client: httpx.AsyncClient,
) -> None:
    long = await client.put(f"/v1/admin/items/{'x' * 129}", json=KETTLE)
    assert (long.status_code, "$.item" in long.json()["message"]) == (400, True)
    large = await client.put("/v1/admin/items/a", content=b" " * 70_000)
    assert (large.status_code, large.json()["code"]) == (413, "too_large")


async def test_only_administrators(administration: Administration) -> None:
    calls = [("GET", "items"), ("PUT", "items/a"), ("POST", "items:bulk"), ("DELETE", "offers/a")]
    for key, status in ((SHOP_KEY, 403), ("nonsense", 401)):
        async with admin_client(administration, key) as client:
            for method, path in calls:
                answer = await client.request(method, f"/v1/admin/{path}")
                assert answer.status_code == status
            del client.headers["authorization"]
            assert (await client.get("/v1/admin/items")).status_code == 401


async def test_patches_at_the_same_time_all_count(client: httpx.AsyncClient) -> None:
    await client.put("/v1/admin/items/a", json=KETTLE)
    changes = [{"stock": 9}, {"price": 7}, {"title": "T"}, {"brand": "B"}, {"category": "C"}]
    await asyncio.gather(*(client.patch("/v1/admin/items/a", json=each) for each in changes))
    found = (await client.get("/v1/admin/items/a")).json()
    for change in changes:
        assert found | change == found


LINES = [
    json.dumps({"item": "a", "price": 100, "currency": "EUR"}),
    "{malformed",
    json.dumps({"item": "b", "price": -1, "currency": "EUR"}),
    "",
    json.dumps({"item": "c", "colour": "red"}),
    json.dumps({"title": "nameless"}),
    json.dumps({"item": "a", "price": 200, "currency": "EUR"}),
    json.dumps({"item": "d"}),
]
REFUSED = {2: "malformed JSON", 3: "$.price", 5: "'colour'", 6: "`item`"}


@pytest.mark.parametrize("packed", [False, True])
async def test_one_bad_line_does_not_refuse_the_others(
    client: httpx.AsyncClient, repository: CatalogueRepository, packed: bool
) -> None:
    body = "\n".join(LINES).encode()
    headers = {"content-type": "application/x-ndjson"}
    if packed:
        body, headers["content-encoding"] = gzip.compress(body), "gzip"
    answer = await client.post("/v1/admin/items:bulk", content=body, headers=headers)
    assert answer.status_code == 200
    result = answer.json()
    assert (result["accepted"], result["rejected"]) == (3, 4)
    assert [error["line"] for error in result["errors"]] == list(REFUSED)
    for error in result["errors"]:
        assert REFUSED[error["line"]] in error["message"]
    stored = await repository.page(ITEMS, None, 10)
    assert stored == [
        ItemChanged(item="a", price=200, currency="EUR", changed_at=NOW),
        ItemChanged(item="d", changed_at=NOW),
    ]
    assert [pending.key for pending in await repository.pending(10)] == ["item:a", "item:d"]


async def test_an_array_and_csv_say_the_same_as_lines(
    client: httpx.AsyncClient, repository: CatalogueRepository
) -> None:
    array = [{"item": "a", "price": 5, "currency": "EUR"}, {"item": "b", "stock": -1}]
    answer = await client.post("/v1/admin/items:bulk", json=array)
    assert (answer.json()["accepted"], answer.json()["errors"][0]["line"]) == (1, 2)

    rows = (
        b'\xef\xbb\xbfitem,title,price,currency\r\nc,"Two\r\nlines, one cell",6,EUR\r\n'
        b"d,short\r\ne,,-5,EUR\r\nf,\xff,5,EUR\r\n\r\ng,,,\r\n"
    )
    answer = await client.post(
        "/v1/admin/items:bulk", content=rows, headers={"content-type": "text/csv; charset=utf-8"}
    )
    result = answer.json()
    assert (result["accepted"], result["rejected"]) == (2, 3)
    assert [error["line"] for error in result["errors"]] == [4, 5, 6]
    found = await repository.get(ITEMS, "c")
    assert isinstance(found, ItemChanged)
    assert (found.title, found.price) == ("Two\r\nlines, one cell", 6)
    assert await repository.count(ITEMS) == 3


@pytest.mark.parametrize(
    ("body", "content_type", "status", "named"),
    [
        (b"", "", 400, "empty"),
        (b"  \n ", "application/x-ndjson", 400, "empty"),
        (b'[{"item": "a"}, ', "application/json", 400, "malformed JSON"),
        (b"title,price\nA,5\n", "text/csv", 400, "no column 'item'"),
        (b"item,colour\na,red\n", "text/csv", 400, "unknown columns: 'colour'"),
        (gzip.compress(b'{"item": "a"}')[:-4], "application/x-ndjson", 400, "truncated"),
        (gzip.compress(bytes(MOST_BULK_BYTES + 1)), "application/x-ndjson", 413, "bytes"),
    ],
)
async def test_what_is_broken_as_a_whole_changes_nothing(
    client: httpx.AsyncClient,
    repository: CatalogueRepository,
    body: bytes,
    content_type: str,
    status: int,
    named: str,
) -> None:
    answer = await client.post(
        "/v1/admin/items:bulk", content=body, headers={"content-type": content_type}
    )
    assert answer.status_code == status
    assert named in answer.json()["message"]
    assert await repository.count(ITEMS) == 0


async def test_ten_thousand_items_in_one_request(
    client: httpx.AsyncClient, repository: CatalogueRepository
) -> None:
    lines = "\n".join(
        json.dumps({"item": f"i{number}", "title": f"Item {number}", "price": number})[:-1]
        + (', "currency": "EUR"}' if number % 100 else "}")
        for number in range(10_000)
    )
    answer = await client.post(
        "/v1/admin/items:bulk", content=gzip.compress(lines.encode()), timeout=60
    )
    assert (answer.json()["accepted"], answer.json()["rejected"]) == (9_900, 100)
    assert await repository.count(ITEMS) == 9_900
    assert len(await repository.pending(20_000)) == 9_900


async def test_everything_can_be_published_again(
    client: httpx.AsyncClient, repository: CatalogueRepository
) -> None:
    await client.put("/v1/admin/items/a", json=KETTLE)
    await client.put("/v1/admin/offers/o", json={"items": ["a"], "percent_off": 5})
    await repository.published(await repository.pending(10))
    answer = await client.post("/v1/admin/catalogue:republish")
    assert answer.json() == {"marked": 2}
    assert [each.key for each in await repository.pending(10)] == [item_key("a"), "offer:o"]


def test_openapi_tells_the_endpoints_and_what_they_take() -> None:
    document = application().openapi()
    for plural in ("items", "offers", "placements"):
        assert set(document["paths"][f"/v1/admin/{plural}/{{id_}}"]) == {
            "get",
            "put",
            "patch",
            "delete",
        }
        assert set(document["paths"][f"/v1/admin/{plural}"]) == {"get"}
    put = document["paths"]["/v1/admin/items/{id_}"]["put"]
    schema = put["requestBody"]["content"]["application/json"]["schema"]
    assert schema["properties"]["price"]["anyOf"][0]["minimum"] == 0
    assert "changed_at" not in schema["properties"]
    assert put["security"] == [{"key": []}]
    bulk = document["paths"]["/v1/admin/items:bulk"]["post"]["requestBody"]["content"]
    assert set(bulk) == {"application/json", "application/x-ndjson", "text/csv"}
