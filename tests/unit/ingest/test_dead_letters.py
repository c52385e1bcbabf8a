"""Dead letters keep what came, and say why it was refused."""

from typing import Any

from services.ingest import dead_letters
from services.ingest.reasons import Reason, refuse
from shared.headers import Headers, find

NOW = 1_700_000_000_000
HEADERS: Headers = (("auth", b"browser"), ("subject", b"ada"), ("ce_id", b"c"), ("at", b"7"))


def built(**changes: Any) -> dead_letters.DeadLetter:
    fields = {
        "key": b"key",
        "value": b"\xff raw",
        "headers": HEADERS,
        "src": "clickstream/1/2",
        "stage": "ingest",
        "refused": refuse(Reason.BAD_UTF8, "byte 0 is no UTF-8"),
        "received_at": 5000,
        "now": NOW,
    }
    return dead_letters.build(**(fields | changes))


def test_the_original_and_why() -> None:
    letter = built()
    assert (letter.key, letter.value) == (b"key", b"\xff raw")
    assert letter.headers[:4] == HEADERS
    assert dict(letter.headers[4:]) == {
        "src": b"clickstream/1/2",
        "stage": b"ingest",
        "reason": b"bad_utf8",
        "message": b"byte 0 is no UTF-8",
        "attempt": b"1",
        "first_seen": str(NOW).encode(),
        "received_at": b"5000",
    }


def test_a_second_refusal_counts_on_and_remembers_the_first() -> None:
    letter = built(headers=(("attempt", b"3"), ("first_seen", b"99"), ("reason", b"old")))
    names = [name for name, _ in letter.headers]
    assert len(names) == len(set(names))
    assert find(letter.headers, "attempt") == "3"
    assert find(letter.headers, "first_seen") == "99"
    assert find(letter.headers, "reason") == "bad_utf8"


def test_a_value_as_large_as_the_log_takes_keeps_its_beginning() -> None:
    letter = built(value=b"x" * 1_048_000)
    assert letter.value is not None
    assert 900_000 < len(letter.value) < dead_letters.MAX_KEPT_BYTES
    assert find(letter.headers, "original_bytes") == "1048000"
    assert find(letter.headers, "subject") == "ada"


def test_huge_headers_are_left_behind() -> None:
    letter = built(headers=(*HEADERS, ("trace", b"x" * 1_000_000)), key=b"k" * 2000)
    assert sum(len(data) for _, data in letter.headers) < 1_000
    assert letter.key is None
    assert find(letter.headers, "auth") == "browser"


def test_a_record_of_nothing_is_still_kept() -> None:
    letter = built(key=None, value=None)
    assert letter.value == b""
    assert find(letter.headers, "null_value") == "1"
    assert built(value=None).value is None
