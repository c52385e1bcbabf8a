"""Small pure parts: arms, decision ids, requests, statistics, learning, measures."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.recommend.arrays import best_first
from services.recommend.availability import FEW_ROWS, Stock
from services.recommend.candidates.sessions import SessionIndex
from services.recommend.catalogue.index import Catalogue
from services.recommend.decision_ids import DecisionIds
from services.recommend.evaluation.scores import Ranks, interval
from services.recommend.experiment import arm_of
from services.recommend.learning import IDLE_MS, Learned, lesson
from services.recommend.listing_requests import batch_decoder
from services.recommend.numbers import NO_ITEM, ItemNumbers
from services.recommend.request import decode_body, parse_body, parse_query
from services.recommend.statistics import ItemStatistics, joined, parse_bucket
from shared.catalogue import ItemChanged
from shared.errors import InvalidInput
from shared.events import CartAdded, ItemViewed, Line, Purchased, Searched, encode


def test_arms_are_stable_and_have_their_share() -> None:
    names = [f"c:{number}" for number in range(4_000)]
    quarter = {name for name in names if arm_of(name, "s", 0.25) == "random"}
    half = {name for name in names if arm_of(name, "s", 0.5) == "random"}
    assert abs(len(quarter) / 4_000 - 0.25) < 0.03
    assert quarter < half
    assert quarter != {name for name in names if arm_of(name, "other", 0.25) == "random"}
    assert arm_of("c:1", "s", 0.0) == "personalised"
    assert arm_of("c:1", "s", 1.0) == "random"


def test_decision_ids_ascend_even_when_the_clock_steps_back() -> None:
    made = DecisionIds(lambda bits: (1 << bits) - 1)
    found = [made.next(1_700_000_000_000 - step // 5_000) for step in range(10_000)]
    assert found == sorted(set(found))
    assert found[0][14] == "7"
    assert found[0][19] in "89ab"
    assert len(found[0]) == 36


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"[]", "object"),
        (b"\xff", "JSON"),
        (b'{"n":NaN}', "JSON"),
        (b'{"n":0}', "$.n"),
        (b'{"n":101}', "$.n"),
        (b'{"n":"5"}', "$.n"),
        (b'{"bogus":1}', "bogus"),
        (b'{"context":{"bogus":1}}', "bogus"),
        (b'{"context":{"country":"Germany"}}', "country"),
        (b'{"placement":"a b"}', "placement"),
        (b'{"customer":""}', "customer"),
        (b'{"customer":"' + b"x" * 129 + b'"}', "customer"),
        (b'{"session":[' + b",".join([b'"a"'] * 101) + b"]}", "session"),
        (b"[" * 20_000, "object"),
        (b'{"session":' + b"[" * 20_000, "session"),
    ],
)
def test_bad_bodies_are_refused_and_the_field_is_named(body: bytes, said: str) -> None:
    with pytest.raises(InvalidInput, match=said.replace("$", r"\$")):
        parse_body(body)


@pytest.mark.parametrize(
    ("body", "fix"),
    [
        (b'{"anonymous_id":"v1"}', "unknown field `anonymous_id`; did you mean anonymous?"),
        (b'{"context":{"contry":"DE"}}', "at `$.context`; did you mean country?"),
        (b'{"filters":{"price":{"atmost":5}}}', "at `$.filters.price`; did you mean at_most?"),
        (b'{"language":"de"}', "Invalid enum value 'de' - at `$.language`; there are en, ru"),
        (b'{"objective":"sales"}', "; there are click, conversion, margin, revenue"),
    ],
)
def test_what_was_meant_is_told(body: bytes, fix: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_body(body)
    assert str(caught.value).endswith(fix)


def test_other_requests_are_told_by_their_own_fields() -> None:
    with pytest.raises(InvalidInput, match=r"`\$\.placements\[0\]`; did you mean placement\?"):
        decode_body(b'{"placements":[{"placment":"home"}]}', batch_decoder)
    with pytest.raises(InvalidInput, match="did you mean anonymous"):
        parse_query([("anonymous_id", "v1")])
    with pytest.raises(InvalidInput, match="there are en, ru"):
        parse_query([("language", "de")])


@pytest.mark.parametrize("name", ["colour", "x" * 20_000, "x` - at `$.context.country"])
def test_nothing_is_suggested_where_nothing_is_close(name: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_body(json.dumps({name: 1}).encode())
    assert "did you mean" not in str(caught.value)


def test_queries() -> None:
    request = parse_query(
        [("n", "3"), ("anonymous", "a"), ("session", "x,y"), ("country", "DE"), ("explain", "1")]
    )
    assert (request.n, request.session, request.context.country) == (3, ["x", "y"], "DE")
    assert request.explain
    for bad in ([("n", "many")], [("n", "1"), ("n", "2")], [("what", "1")]):
        with pytest.raises(InvalidInput):
            parse_query(bad)


def fields(**counts: str) -> dict[bytes, bytes]:
    return {item.encode(): text.encode() for item, text in counts.items()}


def test_statistics_decay_by_hours_and_replace_buckets() -> None:
    numbers, statistics = ItemNumbers(), ItemStatistics()
    statistics.put(0, 1_000, parse_bucket(fields(a="8,0,0,0,0"), numbers))
    statistics.put(1, 1_024, parse_bucket(fields(b="4,0,0,9,0"), numbers))
    a, b = numbers.known("a"), numbers.known("b")
    assert statistics.trend[a] == pytest.approx(statistics.trend[b], rel=1e-5)
    statistics.put(1, 1_024, parse_bucket(fields(b="5,1,0,9,0"), numbers))
    assert statistics.counts[b].tolist() == [5, 1, 0, 9, 0]
    statistics.keep_only(0, set())
    assert statistics.trend[a] == 0


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2_000), st.integers(0, 50)), max_size=30)
)
def test_statistics_do_not_depend_on_the_order_of_reading(
    read: list[tuple[int, int, int]],
) -> None:
    numbers = ItemNumbers()
    buckets = {(p, h): parse_bucket(fields(a=f"{c},0,0,0,0"), numbers) for p, h, c in read}
    one, other = ItemStatistics(reference=2_000), ItemStatistics(reference=2_000)
    for (partition, hour), bucket in buckets.items():
        one.put(partition, hour, bucket)
    for (partition, hour), bucket in reversed(buckets.items()):
        other.put(partition, hour, bucket)
        other.put(partition, hour, bucket)
    assert one.trend.tolist() == other.trend.tolist()
    assert one.counts.tolist() == other.counts.tolist()


def viewed(item: str, at: int) -> bytes:
    return encode(
        ItemViewed(event_id=str(at), occurred_at=at, received_at=at, anonymous="a", item=item)
    )


def test_facts_teach_sessions_once() -> None:
    learned = Learned(ItemNumbers(), SessionIndex())
    learned.learn(b"a:1", viewed("x", 1_000))
    assert learned.sessions.total == 0
    for _ in range(2):
        learned.learn(b"a:1", viewed("y", 2_000))
    learned.learn(b"a:2", viewed("y", 2_000))
    learned.learn(b"a:1", viewed("z", 3_000))
    assert learned.sessions.total == 1
    assert learned.sessions.rows[0, :4].tolist() == [1, 2, 3, 0]
    learned.learn(b"a:1", viewed("x", 3_001 + IDLE_MS))
    learned.learn(b"a:1", viewed("w", 3_002 + IDLE_MS))
    assert learned.sessions.total == 2


def test_orders_teach_pairs_once() -> None:
    learned = Learned(ItemNumbers(), SessionIndex())
    order = Purchased(
        event_id="1",
        occurred_at=1,
        received_at=1,
        customer="c",
        order="o",
        lines=[Line(item="x"), Line(item="y")],
        total=1,
        currency="EUR",
    )
    for _ in range(2):
        learned.learn(b"c:c", encode(order))
    assert learned.pairs.together(1, 2) == 1


def test_other_facts_teach_nothing_and_bad_ones_stop_nothing() -> None:
    searched = Searched(event_id="1", occurred_at=1, received_at=1, anonymous="a", query="x")
    assert lesson(encode(searched)) is None
    assert lesson(None) is None
    assert lesson(b'{"type":"item_viewed"') is None
    assert lesson(b'{"type":"item_viewed","extra":' + b'{"a":' * 20_000) is None
    added = CartAdded(event_id="1", occurred_at=1, received_at=1, anonymous="a", item="x")
    assert lesson(encode(added)) is not None


def test_numbers_are_bounded() -> None:
    numbers = ItemNumbers(limit=2)
    assert [numbers.number(item) for item in "abca"] == [1, 2, NO_ITEM, 1]
    assert numbers.known_among("cab") == [1, 2]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=60), st.integers(1, 20))
def test_best_first_is_a_stable_sort(scores: list[int], limit: int) -> None:
    items = np.arange(len(scores))
    found, _ = best_first(items, np.array(scores, dtype=float), limit)
    expected = sorted(items.tolist(), key=lambda item: (-scores[item], item))[:limit]
    assert found.tolist() == expected


def test_measures() -> None:
    ranks = Ranks(k=2)
    for rank in (1, 2, 3, 0):
        ranks.add(rank)
    assert ranks.mrr == pytest.approx(1.5 / 4)
    assert ranks.hit_rate == 0.5
    low, high = interval(ranks.reciprocal, [0, 1, 2, 3], seed=1)
    assert low <= ranks.mrr <= high
    assert interval([], [], seed=1) == [0.0, 0.0]
    assert not math.isnan(low)


def test_a_bucket_parsed_in_parts_is_the_bucket() -> None:
    numbers = ItemNumbers()
    everything = fields(a="1,2,3,4,5", b="9,0,0,0,0", c="7,1,0,0,0")
    whole = parse_bucket(everything, numbers)
    parts = [parse_bucket({item: text}, numbers) for item, text in everything.items()]
    assert joined(parts).numbers.tolist() == whole.numbers.tolist()
    assert joined(parts).counts.tolist() == whole.counts.tolist()
    assert joined([]).counts.shape == (0, 5)


@given(st.lists(st.lists(st.text("abc", min_size=1), max_size=12), max_size=8))
def test_rows_are_ordered_by_id_however_they_come(batches: list[list[str]]) -> None:
    catalogue = Catalogue()
    stock = Stock(catalogue, ItemNumbers())
    for batch in batches:
        for item in batch:
            catalogue.put(ItemChanged(item=item))
        stock.align()
        order = stock.id_order.tolist()
        assert sorted(range(stock.size), key=order.__getitem__) == sorted(
            range(stock.size), key=catalogue.ids.__getitem__
        )
        assert [json.loads(text) for text in stock.id_texts] == catalogue.ids


def test_many_rows_at_once_are_ordered_as_few_are() -> None:
    catalogue = Catalogue()
    stock = Stock(catalogue, ItemNumbers())
    for item in (*range(FEW_ROWS + 5), "x", "1a"):
        catalogue.put(ItemChanged(item=str(item)))
        if item in {3, FEW_ROWS + 4, "1a"}:
            stock.align()
    assert np.argsort(stock.id_order).tolist() == sorted(
        range(stock.size), key=catalogue.ids.__getitem__
    )
