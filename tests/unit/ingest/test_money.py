"""Decimals to minor units, exactly."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.money import EXPONENTS, read_currency, to_minor
from shared.errors import EventRefused

CURRENCIES = st.sampled_from(sorted(EXPONENTS))


@given(minor=st.integers(0, 10**12), currency=CURRENCIES)
def test_text_converts_exactly(minor: int, currency: str) -> None:
    text = format(Decimal(minor).scaleb(-EXPONENTS[currency]), "f")
    assert to_minor(text, currency, "price") == minor


@given(minor=st.integers(0, 10**12), currency=CURRENCIES)
def test_floats_as_json_carries_them_convert_exactly(minor: int, currency: str) -> None:
    assert to_minor(minor / 10 ** EXPONENTS[currency], currency, "price") == minor


@pytest.mark.parametrize(
    ("value", "minor"),
    [(0.1 + 0.2, 30), (19.999, 2000), ("0.125", 12), ("0.135", 14), (5, 500), (" 3.5 ", 350)],
)
def test_further_digits_are_rounded_to_the_nearest(value: float | str, minor: int) -> None:
    assert to_minor(value, "EUR", "price") == minor


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (-0.01, "negative_price"),
        ("Infinity", "nan"),
        ("sNaN", "nan"),
        ("1e999999", "invalid_field"),
        ("1" * 100, "invalid_field"),
        (10**30, "invalid_field"),
        (None, "invalid_field"),
        ([], "invalid_field"),
        (False, "invalid_field"),
    ],
)
def test_refused_amounts(value: object, reason: str) -> None:
    with pytest.raises(EventRefused) as caught:
        to_minor(value, "EUR", "price")
    assert caught.value.reason == reason


def test_currency_codes() -> None:
    assert read_currency(" eur ", "currency") == "EUR"
    for bad in ("EU", "XXX", "", None, 978):
        with pytest.raises(EventRefused):
            read_currency(bad, "currency")
