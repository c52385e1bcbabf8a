"""Logs: one JSON object a line, nothing of what an exception quotes."""

import json
import logging
import sys
from collections.abc import Iterator

import pytest

from shared.errors import AttuneError, StoreUnavailable
from shared.logging import JsonFormatter, configure


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def line_of(error: Exception) -> dict[str, object]:
    try:
        raise error
    except (AttuneError, KeyError):
        record = logging.LogRecord("a", logging.ERROR, __file__, 1, "failed", None, sys.exc_info())
    parsed: dict[str, object] = json.loads(JsonFormatter("profile").format(record))
    return parsed


def test_a_line_is_one_json_object_with_its_extras(capsys: pytest.CaptureFixture[str]) -> None:
    configure("ingest", "info")
    logging.getLogger("services.ingest").info("batch done", extra={"records": 500, "topic": "a\nb"})
    logging.getLogger("services.ingest").debug("not shown")
    captured = capsys.readouterr()
    assert captured.out == ""
    [text] = captured.err.splitlines()
    line = json.loads(text)
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "info",
        "service": "ingest",
        "logger": "services.ingest",
        "message": "batch done",
        "records": 500,
        "topic": "a\nb",
    }


def test_an_exception_of_others_gives_type_and_place_but_not_its_text() -> None:
    line = line_of(KeyError("customer-4711"))
    assert "4711" not in json.dumps(line)
    error = line["error"]
    assert isinstance(error, dict)
    assert error["type"] == "KeyError"
    assert "test_logging.py" in error["at"][0]


def test_an_error_of_ours_gives_its_text() -> None:
    error = line_of(StoreUnavailable("the store does not answer"))["error"]
    assert isinstance(error, dict)
    assert error["message"] == "the store does not answer"


def test_libraries_stay_quiet_at_any_level() -> None:
    configure("ingest", "debug")
    assert not logging.getLogger("uvicorn.access").isEnabledFor(logging.INFO)
    assert not logging.getLogger("sqlalchemy.engine").isEnabledFor(logging.INFO)
    assert not logging.getLogger("aiokafka.producer").isEnabledFor(logging.ERROR)
