from typing import Any

import pytest

from services.commands.output import Report
from services.local.main import Plan, _check
from services.local.reasons import in_words
from services.local.report import render, table
from services.local.system import Ports
from services.profile.verify.check import Verification

TITLES = {"item-1": "red shoes", "item-2": "blue bag"}


def results() -> dict[str, Any]:
    latency = {"p50": 10.0, "p99": 20.0, "n": 480}
    return {
        "events": {
            "received": 6_030,
            "applied": 6_000,
            "deduplicated": 20,
            "dead_lettered": 10,
            "pending": 0,
            "reasons": {"missing_field": 10},
        },
        "balanced": True,
        "verify": {"customers": 300, "equal": 300},
        "events_per_second": 100.0,
        "freshness_ms": latency,
        "recommend_ms": latency,
        "conversion": {
            "personalised": {"shown": 500, "converted": 100},
            "random": {"shown": 500, "converted": 50},
            "lift": 1.0,
            "ci95": [0.5, 1.7],
        },
        "endpoints": {"collector": "http://127.0.0.1:1", "recommend": "http://127.0.0.1:2"},
        "examples": [
            {
                "customer": "customer-1",
                "country": "DE",
                "likes": ["shoes", "bags"],
                "visits": 4,
                "profile": {
                    "orders": 1,
                    "affinities": {"category": [["shoes", 900]]},
                    "cart": ["item-2"],
                },
                "arm": "personalised",
                "fallback": "none",
                "offers": [{"rank": 1, "title": "red shoes", "because": ["likes category shoes"]}],
            }
        ],
    }


def verification(**changes: Any) -> Verification:
    values: dict[str, Any] = {
        "events": 6_000,
        "customers": 300,
        "equal": 300,
        "different": 0,
        "first_differences": [],
        "balanced": True,
        "lost": 0,
        "applied_twice": 0,
        "received": 6_030,
        "applied": 6_000,
        "deduplicated": 20,
        "dead_lettered": {"missing_field": 10},
        "pending": 0,
        "malformed": 0,
        "unpublished": 0,
    }
    return Verification(**values | changes)


def failures(found: dict[str, Any], verified: Verification, **plan: Any) -> list[str]:
    report = Report("local", as_json=True)
    report.add(**found)
    asked = {"seconds": 60.0, "keep": False, "seed": 1, "world": "default", "file": None} | plan
    _check(Plan(**asked, ports=Ports()), report, verified)
    return report.failed


def test_the_report_shows_balance_speed_lift_and_reasons() -> None:
    text = render(results(), up=True)
    for expected in (
        "6,030",
        "missing_field 10",
        "it adds up",
        "300 equal a single-threaded replay",
        "lift +100%, 95% interval +50% to +170%",
        "truly likes shoes and bags",
        "likes category shoes",
        "http://127.0.0.1:2",
        "/metrics",
    ):
        assert expected in text


def test_the_report_admits_what_it_cannot_tell() -> None:
    found = results()
    found["conversion"] |= {"lift": None, "ci95": [None, None]}
    assert "no lift: too few purchases" in render(found)
    found["conversion"] |= {"lift": 0.5}
    assert "too few purchases for an interval" in render(found)
    found["balanced"] = False
    assert "IT DOES NOT ADD UP" in render(found)


def test_addresses_are_told_while_they_answer() -> None:
    assert "http://127.0.0.1:2" not in render(results())


def test_columns_line_up() -> None:
    lines = table([("a", 1, "x"), ("long", 1_000, None)]).splitlines()
    assert lines == ["  a         1  x", "  long  1,000  -"]


def test_a_good_run_fails_nothing() -> None:
    assert failures(results(), verification()) == []


@pytest.mark.parametrize(
    ("changes", "verified", "failed"),
    [
        ({"freshness_ms": {"p50": 1.0, "p99": 100.0, "n": 9}}, {}, "freshness_p99"),
        ({"freshness_ms": {"p50": None, "p99": None, "n": 0}}, {}, "freshness_p99"),
        ({"recommend_ms": {"p50": 1.0, "p99": 50.0, "n": 9}}, {}, "recommend_p99"),
        ({"conversion": {"ci95": [0.0, 1.0]}}, {}, "lift"),
        ({"conversion": {"ci95": [None, None]}}, {}, "lift"),
        ({}, {"applied": 4_999}, "events_applied"),
        ({}, {"balanced": False}, "balanced"),
        ({}, {"different": 1}, "profiles_equal_replay"),
        ({}, {"applied_twice": 1}, "profiles_equal_replay"),
    ],
)
def test_each_bound_is_checked(
    changes: dict[str, Any], verified: dict[str, Any], failed: str
) -> None:
    assert failures(results() | changes, verification(**verified)) == [failed]


@pytest.mark.parametrize("plan", [{"world": "null"}, {"world": "hostile"}, {"seconds": 15.0}])
def test_short_runs_and_other_worlds_are_held_to_the_balance_only(plan: dict[str, Any]) -> None:
    found = results() | {"conversion": {"ci95": [-1.0, 1.0]}}
    assert failures(found, verification(applied=10), **plan) == []
    assert failures(found, verification(balanced=False), **plan) == ["balanced"]


@pytest.mark.parametrize(
    ("code", "evidence", "words"),
    [
        (
            "affinity",
            {"field": "price_band", "value": "13", "share": 0.25},
            "likes price band 13 (25% of interest)",
        ),
        (
            "similar_sessions",
            {"events": [{"fact": "item_viewed", "item": "item-1", "at": 1}], "sessions": 3},
            "viewed red shoes, as in 3 visits that saw this",
        ),
        (
            "bought_together",
            {"events": [{"fact": "purchased", "item": "item-9", "at": 1}], "orders": 2},
            "bought item-9; together in 2 orders",
        ),
        (
            "bought_together",
            {"events": [{"fact": "purchased", "item": "item-9", "at": 1}], "orders": 1},
            "bought item-9; together in 1 order",
        ),
        (
            "recently_viewed",
            {"events": [{"fact": "item_viewed", "item": "item-1", "at": 1}]},
            "viewed red shoes",
        ),
        ("exploration", {"random_share": 0.1}, "drawn at random, to measure against"),
        ("trending", {"views": 7, "carts": 1}, "trending: views 7, carts 1"),
        ("catalogue", {}, "catalogue"),
    ],
)
def test_reasons_are_said_in_words(code: str, evidence: dict[str, Any], words: str) -> None:
    assert in_words({"code": code, "evidence": evidence}, TITLES) == words
