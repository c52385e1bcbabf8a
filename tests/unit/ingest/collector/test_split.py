"""Splitting: each event keeps its bytes, and one that is broken leaves its neighbours whole."""

import contextlib
import json
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.ingest.collector.elements import Unbalanced, elements, member
from services.ingest.collector.errors import EmptyBatch, MalformedBody
from services.ingest.collector.split import (
    split_native,
    split_segment_batch,
    split_segment_call,
)
from shared.errors import TooLarge

LIMIT = 100
DEEP = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"  # newer Pythons parse 5,000 levels
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(string.printable, max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)


def native(body: bytes, content_type: str = "application/json") -> list[bytes]:
    return split_native(body, content_type, LIMIT).events


@pytest.mark.parametrize(
    "body",
    [
        b' [{"a": 1},{"b":  2}] ',
        b'{"events":[{"a": 1},\n{"b":  2}]}',
        b'{"sent_at":1,"events":[ {"a": 1} , {"b":  2} ]}\n',
        b'{"a": 1}\n{"b":  2}',
        b'{"a": 1}\r\n\r\n{"b":  2}\n',
    ],
)
def test_each_shape_of_a_batch_gives_the_events_as_sent(body: bytes) -> None:
    assert native(body) == [b'{"a": 1}', b'{"b":  2}']


def test_a_single_object_is_one_event_byte_for_byte() -> None:
    event = b'{"type": "x",  "events": [1], "price": 1.10}'
    assert native(b" " + event + b"\n") == [event]
    pretty = b'{\n  "type": "x"\n}'
    assert native(pretty) == [pretty]


def test_lines_are_split_by_content_type_whatever_they_hold() -> None:
    assert native(b'{"a":1}\nbroken\n\n', "application/x-ndjson") == [b'{"a":1}', b"broken"]


@pytest.mark.parametrize(
    "broken",
    [b'{"b":NaN}', b'{"b":Infinity}', b'{"b":"\x01"}', b'{"b":"\\ud800"}', b"{b:1}", DEEP, b"5"],
)
def test_a_broken_event_spoils_no_other(broken: bytes) -> None:
    good = b'{"a":"}],{"}'
    expected = [good, broken, good]
    array = b"[" + b",".join(expected) + b"]"
    assert native(array) == expected
    assert native(b'{"events":' + array + b"}") == expected
    assert split_segment_batch(b'{"batch":' + array + b"}", LIMIT).events == expected
    if broken != b"5":
        assert native(b"\n".join(expected)) == expected


def test_an_event_too_deep_to_parse_is_still_one_event() -> None:
    assert native(DEEP) == [DEEP]
    assert split_segment_call(DEEP, "track").events == [DEEP]


@pytest.mark.parametrize(
    "body",
    [
        b"5",
        b'"x"',
        b"{",
        b"[{}",
        b'{"a":1',
        b"[{]}",
        b'{"events":5}',
        b'{"a":NaN}',
        b"\xff",
        b"[{}]]",
    ],
)
def test_a_body_that_cannot_be_told_apart_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        native(body)


@pytest.mark.parametrize("body", [b"", b" \n", b"[]", b'{"events":[]}'])
def test_an_empty_batch_is_called_that(body: bytes) -> None:
    with pytest.raises(EmptyBatch):
        native(body)


def test_too_many_events_are_refused() -> None:
    assert len(native(b"[" + b",".join([b"{}"] * LIMIT) + b"]")) == LIMIT
    with pytest.raises(TooLarge):
        native(b"[" + b",".join([b"{}"] * (LIMIT + 1)) + b"]")


def test_a_segment_batch_tells_time_and_key() -> None:
    body = b'{"batch":[{"a":1}],"sentAt":"2026-01-01T00:00:00Z","writeKey":"k","context":{}}'
    parts = split_segment_batch(body, LIMIT)
    assert (parts.events, parts.sent_at, parts.write_key) == (
        [b'{"a":1}'],
        "2026-01-01T00:00:00Z",
        "k",
    )


def test_a_batch_with_a_broken_event_keeps_its_time_and_key() -> None:
    parts = split_segment_batch(b'{"writeKey":"k","batch":[{"a":NaN}],"sentAt":7}', LIMIT)
    assert parts == ([b'{"a":NaN}'], 7, "k")


@pytest.mark.parametrize("odd", [b"5.5", b"true", b"null", b"{}", b'"\xff"'])
def test_odd_members_of_a_batch_are_taken_as_absent(odd: bytes) -> None:
    body = b'{"batch":[{"a":1}],"sentAt":' + odd + b',"writeKey":' + odd + b"}"
    parts = split_segment_batch(body, LIMIT)
    assert parts.sent_at is None
    assert parts.write_key is None


@pytest.mark.parametrize("body", [b"[]", b'{"events":[]}', b'{"batch":{}}', b"{}", b"5"])
def test_what_is_no_segment_batch_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        split_segment_batch(body, LIMIT)


@pytest.mark.parametrize("body", [b"", b'{"batch":[]}'])
def test_a_segment_batch_without_events_is_empty(body: bytes) -> None:
    with pytest.raises(EmptyBatch):
        split_segment_batch(body, LIMIT)


def test_a_call_gets_the_type_of_its_endpoint_and_keeps_its_bytes() -> None:
    parts = split_segment_call(b' {"event": "x",  "writeKey":"k"}\n', "track")
    assert parts.events == [b'{"type":"track","event": "x",  "writeKey":"k"}']
    assert parts.write_key == "k"
    assert split_segment_call(b"{ }", "page").events == [b'{"type":"page"}']


def test_a_call_that_states_its_type_is_left_alone() -> None:
    assert split_segment_call(b'{"type": "track"}', "track").events == [b'{"type": "track"}']


@pytest.mark.parametrize("body", [b"[]", b"5", b"{", b'{"a":NaN}'])
def test_a_call_that_is_no_object_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        split_segment_call(body, "track")


@given(st.lists(JSON, max_size=5), st.sampled_from([None, 1]))
def test_brackets_split_as_json_does(values: list[object], indent: int | None) -> None:
    body = json.dumps(values, indent=indent, ensure_ascii=False).encode()
    assert [json.loads(element) for element in elements(body)] == values


@given(st.dictionaries(st.text(string.ascii_letters, max_size=4), JSON, max_size=5))
def test_members_are_found_as_json_does(value: dict[str, object]) -> None:
    body = json.dumps(value).encode()
    for name, expected in value.items():
        found = member(body, name)
        assert found is not None
        assert json.loads(found) == expected
    assert member(body, "absent") is None


@given(st.binary(max_size=60) | st.text('{}[]",:\\ab', max_size=40).map(str.encode))
def test_no_body_raises_anything_else(body: bytes) -> None:
    for split in (
        lambda: split_native(body, "", LIMIT),
        lambda: split_segment_batch(body, LIMIT),
        lambda: split_segment_call(body, "track"),
    ):
        with contextlib.suppress(MalformedBody, EmptyBatch):
            assert split().events
    with contextlib.suppress(Unbalanced):
        elements(body)
