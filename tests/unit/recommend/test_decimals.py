"""Numbers in JSON as a decision's record holds them."""

import json
import math

import numpy as np
import pytest

from services.recommend.decimals import rows_in_json


@pytest.mark.parametrize("digits", [0, 4, 8])
def test_they_read_back_as_they_were_rounded(digits: int) -> None:
    draw = np.random.default_rng(1)
    matrix = draw.normal(size=(50, 20)) * 10.0 ** draw.integers(-9, 9, size=(50, 20))

    read = json.loads(rows_in_json(matrix, digits, 50))

    assert np.array(read) == pytest.approx(matrix, rel=1e-12, abs=0.5000001 * 10.0**-digits)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, b"0"),
        (-0.0, b"0"),
        (1.0, b"1"),
        (-2.5, b"-2.5"),
        (0.0625, b"0.0625"),
        (-0.00004, b"0"),
        (0.00006, b"0.0001"),
        (0.99996, b"1"),
        (120.05, b"120.05"),
        (1e30, b"900000000000000000"),
        (math.nan, b"null"),
        (-math.inf, b"null"),
    ],
)
def test_one_number(value: float, text: bytes) -> None:
    assert rows_in_json(np.array([[value]]), 4, 1) == b"[[%b]]" % text


def test_what_was_not_ranked_has_empty_rows() -> None:
    assert rows_in_json(np.array([[1.0, 2.0], [3.0, 4.0]]), 4, 4) == b"[[1,2],[3,4],[],[]]"
    assert rows_in_json(np.zeros((0, 3)), 4, 2) == b"[[],[]]"
    assert rows_in_json(np.zeros((0, 3)), 4, 0) == b"[]"
    assert rows_in_json(np.array([[1.0, 2.0], [3.0, 4.0]])[:, ::-1], 4, 2) == b"[[2,1],[4,3]]"
