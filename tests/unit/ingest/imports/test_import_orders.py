"""Lines become orders: whole ones, once, whatever order their lines come in or where it stops."""

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from services.ingest.imports.mapping import Mapping, parse
from services.ingest.imports.orders import Entry, Tally, assemble
from services.ingest.imports.records import Row


def mapping(within: int = 1000, group_by: str | None = "order") -> Mapping:
    grouping = f"group_by: {group_by}\n" if group_by else ""
    text = f"""
format: csv
currency: EUR
within: {within}
{grouping}columns:
  order: {{column: order}}
  item: {{column: item}}
  price: {{column: price, type: money}}
  occurred_at: {{column: at, type: time, format: epoch_ms}}
  customer: {{constant: c1}}
exclude:
  - reason: fee
    when: {{item: {{matches: FEE}}}}
facts:
  - type: refunded
    when: {{order: {{matches: 'C.*'}}}}
  - type: purchased
"""
    return parse(text.encode(), "m")


def rows(orders: list[str], item: str = "mug") -> Iterator[Row]:
    for number, order in enumerate(orders, 1):
        cells = {"order": order, "item": item, "price": "1.00", "at": str(number)}
        if order == "fee":
            cells |= {"order": "a", "item": "FEE"}
        yield Row(number, number * 10, cells)


def imported(
    orders: list[str], made: Mapping, limit: int | None = None
) -> tuple[list[Entry], Tally]:
    tally = Tally()
    return list(assemble(rows(orders), made, tally, limit)), tally


def test_lines_of_one_order_are_one_fact_with_the_time_of_the_first() -> None:
    entries, tally = imported(["a", "a", "b", "a"], mapping())
    assert [(entry.name, entry.rows, entry.last_row, entry.position) for entry in entries] == [
        ("b", 1, 3, 30),
        ("a", 3, 4, 40),
    ]
    assert entries[1].fields["occurred_at"] == 1
    assert entries[1].lines == [{"item": "mug", "price": 100}] * 3
    assert (tally.rows, tally.rows_in_facts, tally.facts) == (4, 4, {"purchased": 2})


def test_excluded_lines_leave_the_rest_of_their_order() -> None:
    entries, tally = imported(["a", "fee", "a"], mapping())
    assert [entry.rows for entry in entries] == [2]
    assert tally.excluded == {"fee": 1}


def test_lines_without_an_order_are_not_lumped_together() -> None:
    text = """
format: csv
columns:
  list: {column: order}
  item: {column: item}
  customer: {constant: c1}
  occurred_at: {column: at, type: time, format: epoch_ms}
exclude: [{reason: never, when: {list: {matches: never}}}]
facts: [{type: cart_viewed}]
group_by: list
"""
    tally = Tally()
    assert list(assemble(rows(["", ""]), parse(text.encode(), "m"), tally)) == []
    assert tally.excluded == {"missing_list": 2}


def test_one_name_may_be_an_order_and_a_refund_but_not_one_fact() -> None:
    entries, _ = imported(["C1", "1", "C1"], mapping())
    assert [(entry.kind, entry.name) for entry in entries] == [
        ("purchased", "1"),
        ("refunded", "C1"),
    ]


def test_an_order_that_comes_back_too_late_is_not_opened_again() -> None:
    entries, tally = imported(["a", "b", "b", "b", "a"], mapping(within=2))
    assert [(entry.name, entry.rows) for entry in entries] == [("a", 1), ("b", 3)]
    assert tally.excluded == {"order_reopened": 1}


def test_an_order_that_goes_on_behind_the_limit_is_left_out_whole() -> None:
    entries, tally = imported(["a", "b", "c", "b", "d"], mapping(), limit=3)
    assert [entry.name for entry in entries] == ["a", "c"]
    assert (tally.rows, tally.rows_in_facts, tally.excluded) == (3, 2, {"cut_by_limit": 1})


def test_without_grouping_each_row_is_a_fact() -> None:
    entries, tally = imported(["a", "fee", "a"], mapping(group_by=None), limit=3)
    assert [(entry.name, entry.rows) for entry in entries] == [("row-1", 1), ("row-3", 1)]
    assert tally.rows == 3
    assert imported(["a", "b", "c"], mapping(group_by=None), limit=2)[1].rows == 2


names = st.lists(st.sampled_from(["a", "b", "c", "C1", "fee", "d"]), max_size=30)


@given(names, st.integers(1, 6))
def test_every_row_is_in_a_fact_or_excluded(orders: list[str], within: int) -> None:
    entries, tally = imported(orders, mapping(within))
    assert tally.rows == len(orders)
    assert tally.rows == tally.rows_in_facts + sum(tally.excluded.values())
    assert tally.rows_in_facts == sum(entry.rows for entry in entries)
    assert len({(entry.kind, entry.name) for entry in entries}) == len(entries)


@given(names, st.integers(1, 6), st.integers(1, 30))
def test_a_limited_import_is_the_beginning_of_the_whole_one(
    orders: list[str], within: int, limit: int
) -> None:
    whole, _ = imported(orders, mapping(within))
    part, tally = imported(orders, mapping(within), limit)
    assert part == whole[: len(part)]
    assert all(entry.last_row > limit for entry in whole[len(part) :])
    assert tally.rows == min(limit, len(orders))
    assert tally.rows == tally.rows_in_facts + sum(tally.excluded.values())
    last_rows = [entry.last_row for entry in whole]
    assert last_rows == sorted(set(last_rows))
