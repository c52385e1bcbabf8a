"""Which dead letters go back, and as what."""

from typing import Any

import pytest

from services.ingest.replay_plan import Plan, read_repaired, to_raw
from shared.errors import InvalidInput
from shared.headers import Headers, find
from tests.fixtures.fake_bus import FakeRecord

A, B = "clickstream/0/1", "purchases/2/5"


def plan_of(**choices: Any) -> Plan:
    return Plan(frozenset({"clickstream", "purchases"}), **choices)


def letter(
    src: str, offset: int, *, attempt: int = 1, reason: str = "nan", **more: str
) -> FakeRecord:
    ours = {"auth": "browser", "at": "7", "received_at": "5000", "src": src, "stage": "ingest"}
    ours |= {"reason": reason, "message": "m", "attempt": str(attempt), "first_seen": "3"} | more
    headers: Headers = tuple((name, text.encode()) for name, text in ours.items())
    return FakeRecord("dead-letters", 0, offset, b"key", b"{", headers)


def seen(plan: Plan, *letters: FakeRecord) -> Plan:
    for entry in letters:
        plan.see_letter(entry)
    return plan


def returned(src: str, attempt: int) -> FakeRecord:
    headers = (("src", src.encode()), ("attempt", str(attempt).encode()))
    return FakeRecord("clickstream", 0, 50, None, b"{", headers)


def test_the_newest_attempt_of_each_goes_back() -> None:
    choice = seen(plan_of(), letter(A, 0), letter(B, 1), letter(A, 2, attempt=2)).choose()
    assert choice.letters == {(0, 2): A, (0, 1): B}
    assert (choice.found, choice.reasons) == (2, {"nan": 2})


def test_the_same_refusal_written_twice_goes_back_once() -> None:
    assert seen(plan_of(), letter(A, 0), letter(A, 1)).choose().letters == {(0, 0): A}


def test_what_went_back_already_stays_until_it_is_refused_again() -> None:
    plan = seen(plan_of(), letter(A, 0))
    plan.see_raw(returned(A, 2))
    assert plan.choose().skipped == {"already_replayed": 1}
    assert seen(plan, letter(A, 1, attempt=2)).choose().letters == {(0, 1): A}


def test_reasons_and_limit() -> None:
    letters = (letter(A, 0), letter(B, 1, reason="bad_utf8"), letter("clickstream/0/9", 2))
    assert seen(plan_of(reasons=frozenset({"bad_utf8"})), *letters).choose().letters == {(0, 1): B}
    limited = seen(plan_of(limit=1), *letters).choose()
    assert len(limited.letters) == 1
    assert limited.skipped == {"over_limit": 2}


def test_repaired_ones_alone_go_back() -> None:
    mended = {A: b"{}", "clickstream/9/9": b"{}"}
    choice = seen(plan_of(mended=mended), letter(A, 0), letter(B, 1)).choose()
    assert choice.letters == {(0, 0): A}
    assert choice.unmatched == ["clickstream/9/9"]


def test_what_came_from_no_raw_topic_stays() -> None:
    assert seen(plan_of(), letter("events/0/1", 0)).choose().skipped == {"no_raw_topic": 1}


def test_a_letter_that_is_not_whole_goes_back_repaired_only() -> None:
    cut = letter(A, 0, original_bytes="2000000")
    assert seen(plan_of(), cut).choose().skipped == {"not_whole": 1}
    assert seen(plan_of(mended={A: b"{}"}), cut).choose().letters == {(0, 0): A}


def test_records_that_are_no_dead_letters_are_passed_over() -> None:
    plan = seen(plan_of(), FakeRecord("dead-letters", 0, 0, None, b"{"))
    plan.see_raw(FakeRecord("clickstream", 0, 0, None, b"{"))
    assert plan.choose().found == 0


def test_the_raw_record_it_becomes() -> None:
    raw = to_raw(letter(B, 0), None)
    assert (raw.topic, raw.key, raw.value) == ("purchases", b"key", b"{")
    assert dict(raw.headers) == {
        "auth": b"browser",
        "received_at": b"5000",
        "first_seen": b"3",
        "src": B.encode(),
        "attempt": b"2",
    }
    assert find(to_raw(letter(B, 0, attempt=4), {B: b"{}"}).headers, "attempt") == "5"
    assert to_raw(letter(B, 0), {B: b"{}"}).value == b"{}"


def test_a_file_of_repaired_events() -> None:
    lines = [b'{"src": "clickstream/0/1", "value": {"b": 1,  "a": 2}}\n', b"\n"]
    assert read_repaired(iter(lines)) == {A: b'{"b": 1,  "a": 2}'}
    for bad in (b"{", b'{"src": 5, "value": {}}', b'{"src": "x"}', b"\xff"):
        with pytest.raises(InvalidInput, match="line 3"):
            read_repaired(iter([*lines, bad]))
