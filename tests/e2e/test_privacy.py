"""Whatever happens to a shopper's events and requests, logs and metrics name nobody."""

import json
from pathlib import Path

from shared.clock import real_now_ms
from shared.topics import triggers
from tests.fixtures.systems import Shop, event
from tests.fixtures.waiting import eventually

LINES = {"content-type": "application/x-ndjson"}


def logs(shop: Shop) -> dict[str, str]:
    """What the services wrote, by name. The system keeps all of its data in one folder."""
    folder = Path(shop.settings.models).parent / "logs"
    return {file.stem: file.read_text() for file in folder.glob("*.log")}


async def test_no_shopper_is_named_in_logs_or_metrics(shop: Shop, shopper: str) -> None:
    visitor = f"visitor-of-{shopper}"
    then = real_now_ms() - 2 * 3_600_000
    good = [
        event("cart_added", customer=shopper, item="desk-5", occurred_at=then),
        event("identified", customer=shopper, anonymous=visitor, traits={"note": shopper}),
        event("item_viewed", anonymous=visitor, item="desk-6"),
    ]
    bad = [
        event("item_teleported", customer=shopper),
        event("item_viewed", customer=shopper, item=5),
        event("item_viewed", customer=shopper, item="desk-5", price=-1, currency=shopper),
    ]
    body = b"\n".join(json.dumps(each).encode() for each in (*good, *bad))
    answer = await shop.post_events(body + b'\n{"customer":"' + shopper.encode(), headers=LINES)
    assert (answer.json()["accepted"], answer.json()["dead_lettered"]) == (3, 4)
    for parameters in (
        {"customer": shopper, "anonymous": visitor},
        {"customer": shopper, "n": "x"},
    ):
        await shop.client.get(
            f"{shop.system.recommend}/v1/recommend",
            params=parameters,
            headers={"authorization": f"Bearer {shop.system.keys.server}"},
        )
    refused = await shop.post_recommend(customer=shopper, key=f"atn_server_{shopper}_x")
    assert refused.status_code == 401
    refused = await shop.post_recommend(customer=shopper, exclude=shopper)
    assert refused.status_code == 400
    assert shopper not in refused.text
    await shop.ask_until(3, customer=shopper)

    async def message() -> bool:
        found = await shop.records(triggers("email"))
        return any(record.key == shopper.encode() for record in found)

    await eventually(message, what="a message")
    await shop.drained()
    written = logs(shop)
    assert {"collector", "ingest", "profile", "recommend"} <= written.keys()
    assert [name for name, text in written.items() if shopper in text] == []
    for base in (shop.system.collector, shop.system.recommend):
        metrics = await shop.client.get(f"{base}/metrics")
        assert metrics.status_code == 200
        assert "attune" in metrics.text
        assert shopper not in metrics.text
