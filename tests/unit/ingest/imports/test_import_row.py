"""One row: a fact's fields, or the reason why it is none."""

from typing import Any

import pytest

from services.ingest.imports.mapping import load, parse
from services.ingest.imports.row import Excluded, RowReader, Taken, check_columns
from shared.errors import InvalidInput

UCI = load("uci-online-retail")[1]


def uci(**cells: str) -> dict[str, str]:
    row = {
        "InvoiceNo": "536365",
        "StockCode": "85123A",
        "Description": "WHITE HANGING HEART T-LIGHT HOLDER ",
        "Quantity": "6",
        "InvoiceDate": "2010-12-01 08:26:00",
        "UnitPrice": "2.55",
        "CustomerID": "17850.0",
        "Country": "United Kingdom",
    }
    return row | cells


def read(**cells: str) -> Taken | Excluded:
    return RowReader(UCI).read(uci(**cells))


def taken(**cells: str) -> Taken:
    result = read(**cells)
    assert isinstance(result, Taken)
    return result


def test_an_order_line() -> None:
    result = taken()
    assert result.kind == "purchased"
    assert result.fields == {
        "order": "536365",
        "item": "85123A",
        "title": "WHITE HANGING HEART T-LIGHT HOLDER",
        "quantity": 6,
        "occurred_at": 1291191960000,
        "price": 255,
        "customer": "17850",
        "country": "United Kingdom",
        "currency": "GBP",
    }


def test_a_cancellation_gives_back_what_was_bought() -> None:
    result = taken(InvoiceNo="C536379", Quantity="-3")
    assert (result.kind, result.fields["quantity"]) == ("refunded", 3)


def test_an_invoice_without_a_customer_is_somebody() -> None:
    fields = taken(CustomerID="", InvoiceNo="536414").fields
    assert fields["anonymous"] == "invoice-536414"
    assert "customer" not in fields


def test_codes_that_differ_by_case_alone_are_one_product() -> None:
    assert taken(StockCode="15056bl").fields["item"] == "15056BL"


@pytest.mark.parametrize(
    "code",
    [
        "POST",
        "D",
        "C2",
        "DOT",
        "M",
        "m",
        "S",
        "B",
        "PADS",
        "CRUK",
        "AMAZONFEE",
        "gift_0001_20",
        "BANK CHARGES",
        "TEST001",
    ],
)
def test_codes_of_no_product(code: str) -> None:
    assert read(StockCode=code) == Excluded("not_a_product")


@pytest.mark.parametrize("code", ["22423", "85123A", "15056BL", "DCGS0076", "DCGSSGIRL"])
def test_codes_of_products(code: str) -> None:
    assert isinstance(read(StockCode=code), Taken)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"Quantity": "-10", "UnitPrice": "0.0"}, "stock_adjustment"),
        ({"UnitPrice": "0.0"}, "no_price"),
        ({"UnitPrice": "-11062.06"}, "no_price"),
        ({"Quantity": "six"}, "bad_quantity"),
        ({"UnitPrice": "free"}, "bad_price"),
        ({"InvoiceDate": "yesterday"}, "bad_occurred_at"),
        ({"InvoiceDate": ""}, "missing_occurred_at"),
        ({"CustomerID": "A1"}, "bad_customer"),
        ({"UnitPrice": ""}, "missing_price"),
        ({"InvoiceNo": ""}, "missing_order"),
    ],
)
def test_rows_that_no_fact_is_made_of(cells: dict[str, str], reason: str) -> None:
    assert read(**cells) == Excluded(reason)


def reader(tests: dict[str, Any]) -> RowReader:
    text = f"""
format: csv
currency: EUR
columns:
  query: {{column: q}}
  customer: {{column: who}}
  occurred_at: {{column: at, type: time, format: epoch_ms}}
  results: {{column: n, type: integer}}
  state: {{column: state}}
exclude:
  - reason: out
    when: {tests}
facts:
  - type: searched
    when: {{state: {{one_of: [new, old]}}, results: {{at_least: 0}}}}
"""
    return RowReader(parse(text.encode(), "m"))


CELLS = {"q": "mug", "who": "c1", "at": "5", "n": "3", "state": "new"}


@pytest.mark.parametrize(
    ("tests", "out"),
    [
        ({"query": {"matches": "m.g"}}, True),
        ({"query": {"matches": "m"}}, False),
        ({"query": {"not_matches": "m.g"}}, False),
        ({"results": {"at_most": 3}}, True),
        ({"results": {"at_least": 4}}, False),
        ({"results": {"at_least": 1, "at_most": 2}}, False),
        ({"state": {"empty": "true"}, "query": {"matches": "mug"}}, False),
        ({"state": {"empty": "false"}}, True),
        ({"state": {"one_of": "[new]"}}, True),
    ],
)
def test_tests_of_fields(tests: dict[str, Any], out: bool) -> None:
    written = {
        name: {test: _plain(value) for test, value in entry.items()}
        for name, entry in tests.items()
    }
    result = reader(written).read(CELLS)
    assert (result == Excluded("out")) is out


def _plain(value: Any) -> Any:
    return {"true": True, "false": False, "[new]": ["new"]}.get(value, value)


def test_a_row_that_fits_no_rule_is_no_fact() -> None:
    assert reader({"query": {"matches": "x"}}).read({**CELLS, "state": "gone"}) == Excluded(
        "no_fact"
    )


def test_an_empty_field_fails_every_test_but_those_for_it() -> None:
    cells = {**CELLS, "n": ""}
    assert reader({"results": {"at_most": 9}}).read(cells) == Excluded("no_fact")
    assert reader({"results": {"empty": True}}).read(cells) == Excluded("out")


def test_nobody_named() -> None:
    result = reader({"query": {"matches": "x"}}).read({**CELLS, "who": ""})
    assert result == Excluded("missing_identity")


def test_a_missing_column_is_named_with_those_that_are_there() -> None:
    with pytest.raises(
        InvalidInput, match=r"f\.csv: no column StockCode; its columns: InvoiceNo, "
    ):
        check_columns(UCI, [name for name in uci() if name != "StockCode"], "f.csv")
