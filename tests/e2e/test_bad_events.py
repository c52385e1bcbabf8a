"""Bad events stay as dead letters, mended ones apply once, events sent twice count once."""

import json
from pathlib import Path
from typing import Any

from shared.bus import Producer, Record
from shared.headers import find
from shared.topics import CLICKSTREAM, DEAD_LETTERS, PURCHASES
from tests.fixtures.systems import Shop, event
from tests.fixtures.waiting import eventually

LINES = {"content-type": "application/x-ndjson"}


def bad_events(shopper: str) -> list[tuple[str, bytes]]:
    """A reason, and an event that is refused for it."""

    def view(**changes: Any) -> bytes:
        given = event("item_viewed", customer=shopper, item="mug-2") | changes
        return json.dumps({name: value for name, value in given.items() if value != ""}).encode()

    deep = b'{"deep":' + b"[" * 40 + b"]" * 40 + b"," + view()[1:]
    return [
        ("malformed_json", b'{"type":"item_viewed","event_id":"half","customer":"' + b"x" * 9),
        ("bad_utf8", view().replace(b"mug-2", b"mug-\xff")),
        ("nan", view(price="NaN").replace(b'"NaN"', b"NaN")),
        ("too_deep", deep),
        ("unknown_type", view(type="item_teleported")),
        ("system_type_refused", view(type="profile_absorbed")),
        ("missing_event_id", view(event_id="")),
        ("missing_identity", view(customer="")),
        ("missing_field", view(item="")),
        ("negative_price", view(price=-1, currency="EUR")),
        ("wrong_currency", view(price=1, currency="QQQ")),
        ("out_of_range_time", view(occurred_at="9999-12-31T23:59:59Z")),
        ("before_1970", view(occurred_at="1969-12-31T23:59:59Z")),
    ]


async def dead_letters(shop: Shop, values: set[bytes]) -> dict[bytes, Record]:
    """The dead letters with these original bytes, once all are there."""

    async def probe() -> dict[bytes, Record]:
        found = {record.value: record for record in await shop.records(DEAD_LETTERS)}
        return {value: found[value] for value in values} if values <= found.keys() else {}

    return await eventually(probe, what="dead letters")


async def raw_by_source(shop: Shop) -> dict[str, Record]:
    """The raw records by their position."""
    records = [*await shop.records(CLICKSTREAM), *await shop.records(PURCHASES)]
    return {f"{each.topic}/{each.partition}/{each.offset}": each for each in records}


async def test_bad_events_of_a_batch_are_kept_and_the_good_ones_apply(
    shop: Shop, shopper: str
) -> None:
    bad = bad_events(shopper)
    good = [
        json.dumps(event("item_viewed", customer=shopper, item=f"mug-{number}")).encode()
        for number in range(2)
    ]
    body = b"\n".join([good[0], *(value for _, value in bad), good[1]])
    answer = await shop.post_events(body, headers=LINES)
    assert answer.status_code == 200, answer.text
    results = answer.json()["results"]
    assert [result["status"] for result in results] == [
        "accepted",
        *["dead_lettered"] * len(bad),
        "accepted",
    ]
    assert [result["reason"] for result in results[1:-1]] == [reason for reason, _ in bad]
    await shop.ask_until(2, customer=shopper)
    letters = await dead_letters(shop, {value for _, value in bad})
    raw = await raw_by_source(shop)
    for reason, value in bad:
        headers = letters[value].headers
        assert find(headers, "reason") == reason
        original = raw[find(headers, "src") or ""]
        assert (original.key, original.value) == (letters[value].key, value)
        assert find(headers, "stage") == "ingest"
        assert find(headers, "attempt") == "1"


async def test_bad_records_of_a_shops_own_producer_stop_nothing(shop: Shop, shopper: str) -> None:
    large = json.dumps(event("searched", customer=shopper, query="x", note="y" * 40_000)).encode()
    good = json.dumps(event("item_viewed", customer=shopper, item="mug-3")).encode()
    topic = CLICKSTREAM.named(shop.settings.namespace)
    async with Producer.open(shop.settings) as producer:
        await producer.send(topic, None, key=shopper.encode())
        await producer.send(topic, large, key=None)
        await producer.send(topic, good, key=None)
        await producer.flush()
    await shop.ask_until(1, customer=shopper)
    letters = await dead_letters(shop, {large})
    assert find(letters[large].headers, "reason") == "too_large"

    async def empty() -> list[Record]:
        found = await shop.records(DEAD_LETTERS)
        return [record for record in found if record.key == shopper.encode()]

    (letter,) = await eventually(empty, what="the record without a value")
    assert letter.value is None
    assert find(letter.headers, "reason") == "null_value"


async def test_what_cannot_be_an_event_at_all_is_refused_at_the_door(
    shop: Shop, shopper: str
) -> None:
    view = event("item_viewed", customer=shopper, item="mug-4", note="y" * 40_000)
    good = event("item_viewed", customer=shopper, item="mug-4")
    refused = {
        b"": 400,
        b"[]": 400,
        b"not json": 400,
        json.dumps(view).encode(): 413,
        b" " * 1_048_576 + b"{}": 413,
    }
    for body, status in refused.items():
        answer = await shop.post_events(body)
        assert answer.status_code == status, (body[:20], answer.text)
        assert answer.json()["error"]["message"]
    answer = await shop.post_events(json.dumps([view, good]).encode())
    assert [result["status"] for result in answer.json()["results"]] == ["rejected", "accepted"]
    await shop.ask_until(1, customer=shopper)


async def test_a_mended_event_applies_once_however_often_it_is_replayed(
    shop: Shop, shopper: str, tmp_path: Path
) -> None:
    broken = event("cart_added", customer=shopper, item="desk-1", price=-5, currency="EUR")
    other = event("cart_added", customer=shopper, item="desk-2", price=-5, currency="EUR")
    bodies = [json.dumps(each).encode() for each in (broken, other)]
    answer = await shop.post_events(b"\n".join(bodies), headers=LINES)
    assert answer.json()["dead_lettered"] == 2, answer.text
    letter = (await dead_letters(shop, set(bodies)))[bodies[0]]
    before = await shop.verify()
    source = find(letter.headers, "src")
    file = tmp_path / "repaired.jsonl"
    file.write_text(json.dumps({"src": source, "value": broken | {"price": 5}}) + "\n")
    replay = ("replay", "dead-letters", "--repaired", str(file))
    first = await shop.attune(*replay)
    assert (first["chosen"], first["replayed"], first["unmatched"]) == (1, 1, [])
    second = await shop.attune(*replay)
    assert (second["replayed"], second["skipped"]["already_replayed"]) == (0, 1)
    await shop.ask_until(1, customer=shopper)
    after = await shop.verify()
    assert after["received"] == before["received"]
    assert after["applied"] == before["applied"] + 1
    assert after["deduplicated"] == before["deduplicated"]
    refused = after["dead_lettered"]["negative_price"]
    assert refused == before["dead_lettered"]["negative_price"] - 1
    (identity,) = (await shop.identities([f"c:{shopper}"])).values()
    assert list(identity.profile.component.cart) == ["desk-1"]


async def test_an_event_that_is_sent_twice_counts_once(shop: Shop, shopper: str) -> None:
    before = await shop.verify()
    carted = event("cart_added", customer=shopper, item="desk-3")
    viewed = event("item_viewed", customer=shopper, item="desk-3")
    await shop.send(carted)
    await shop.send(carted, viewed, carted)
    await shop.ask_until(2, customer=shopper)
    after = await shop.verify()
    changes = {name: after[name] - before[name] for name in ("received", "applied", "deduplicated")}
    assert changes == {"received": 4, "applied": 2, "deduplicated": 2}
