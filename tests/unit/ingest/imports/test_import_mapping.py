"""A mapping's YAML: what is shipped reads, and what is wrong is told with its field."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from services.ingest.imports.mapping import load, parse, shipped
from shared.errors import InvalidInput

PLAIN: dict[str, Any] = {
    "format": "csv",
    "currency": "EUR",
    "columns": {
        "order": {"column": "id"},
        "item": {"column": "sku"},
        "price": {"column": "price", "type": "money"},
        "customer": {"column": "who"},
        "occurred_at": {"column": "at", "type": "time"},
    },
    "facts": [{"type": "purchased"}],
}


def changed(**changes: Any) -> bytes:
    return yaml.safe_dump({**PLAIN, **changes}).encode()


def with_column(name: str, column: dict[str, Any]) -> bytes:
    return changed(columns={**PLAIN["columns"], name: column})


@pytest.mark.parametrize("name", ["uci-online-retail", "segment"])
def test_shipped_mappings_read(name: str) -> None:
    assert name in shipped()
    assert load(name)[0] == name


def test_digest_is_of_what_it_says_not_of_its_layout() -> None:
    plain = yaml.safe_dump(PLAIN).encode()
    assert parse(plain, "m").digest == parse(b"# a comment\n" + plain + b"\n", "m").digest
    assert parse(plain, "m").digest != parse(changed(time_zone="Europe/Paris"), "m").digest


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (changed(format="xml"), "mapping m: format: Invalid enum value 'xml'; allowed: csv, jsonl"),
        (changed(colour=1), "unknown field `colour`; allowed: format, records"),
        (changed(facts=[{"type": "bought"}]), "facts.0.type: 'bought'; allowed: cart_added"),
        (changed(facts=[{"type": "traits_set"}]), "facts.0.type: 'traits_set'; allowed:"),
        (changed(facts=[]), "facts: names no fact"),
        (changed(facts=[{"type": "searched"}]), "facts.0: searched needs a column for query"),
        (changed(time_zone="Mars"), "time_zone: 'Mars' is no IANA time zone"),
        (changed(encoding="latin-9000"), "encoding: 'latin-9000' is no encoding"),
        (changed(encoding="utf-16"), "encoding: only encodings that write a line feed as one"),
        (changed(currency="XXX"), "currency: XXX is no code of ISO 4217"),
        (changed(currency=None), "needs the mapping's currency"),
        (
            with_column("currency", {"column": "c"}),
            "columns.price: beside a column for currency, money is in minor units",
        ),
        (
            changed(
                currency=None,
                columns={
                    **PLAIN["columns"],
                    "price": {"column": "p", "type": "money", "unit": "minor"},
                },
            ),
            "currency: missing, and purchased is an amount",
        ),
        (changed(group_by="basket"), "group_by: basket is not among the columns"),
        (changed(without_customer="x-{basket}"), "without_customer: {basket} is not among"),
        (changed(exclude=[{"reason": "No!", "when": {}}]), "mapping m: exclude.0"),
        (
            changed(exclude=[{"reason": "test", "when": {"sku": {"matches": "T"}}}]),
            "exclude.0.when.sku: no such column; allowed: customer, item, occurred_at",
        ),
        (
            changed(exclude=[{"reason": "test", "when": {"item": {"matches": "("}}}]),
            "exclude.0.when.item: not a regular expression",
        ),
        (
            changed(exclude=[{"reason": "test", "when": {"item": {"at_most": 3}}}]),
            "exclude.0.when.item: at_most and at_least need a column of numbers",
        ),
        (
            changed(facts=[{"type": "purchased", "negate": ["item"]}]),
            "facts.0.negate: item is no column of numbers",
        ),
        (with_column("price", {"column": "p"}), "columns.price: its type is money, not text"),
        (
            with_column("price", {"column": "p", "type": "euro"}),
            "columns.price.type: Invalid enum value 'euro'; allowed: integer, money, number",
        ),
        (with_column("shade", {"column": "c"}), "columns.shade: no fact of this mapping has it"),
        (with_column("country", {}), "columns.country: needs either a column or a constant"),
        (b"- a list", "mapping m: not a YAML object"),
        (b"a: [", "mapping m: not YAML"),
        (b"\xff\xfe\x00", "mapping m: not YAML"),
        (b"format: csv\nrecords: segment", "format: records: segment needs jsonl"),
        (
            b"format: jsonl\nrecords: segment\ngroup_by: order",
            "records: segment takes no columns, facts, exclude or group_by",
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_field(text: bytes, told: str) -> None:
    with pytest.raises(InvalidInput) as error:
        parse(text, "m")
    assert told in str(error.value)


def test_lines_need_a_fact_that_has_some() -> None:
    columns = {**PLAIN["columns"], "query": {"column": "q"}}
    with pytest.raises(InvalidInput, match="group_by: searched has no lines"):
        parse(
            changed(
                columns=columns,
                facts=[{"type": "purchased"}, {"type": "searched"}],
                group_by="order",
            ),
            "m",
        )


def test_somebody_must_be_named() -> None:
    columns = {name: entry for name, entry in PLAIN["columns"].items() if name != "customer"}
    with pytest.raises(InvalidInput, match="columns: nobody is named"):
        parse(changed(columns=columns), "m")


def test_a_mapping_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"No such file.*shipped: segment, uci-online-retail"):
        load(str(tmp_path / "none.yaml"))
