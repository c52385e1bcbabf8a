"""Logs of every process: one JSON object a line on standard error, without personal data.

Callers log fixed texts and put numbers, topics, codes into `extra`; never an id of a customer, an
event's body or an exception's own text, which may quote either.
"""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import Any, Final

from shared.errors import AttuneError

LIBRARIES: Final = {
    # Their debug lines carry paths and statements: customers, in short.
    "asyncio": logging.WARNING,
    "sqlalchemy": logging.WARNING,
    "uvicorn": logging.WARNING,
    "uvicorn.access": logging.CRITICAL,
}
_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """One record as one line. An exception gives its type and where, not what it says.

    Errors of ours are written for operators and do give their text.
    """

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _OWN}
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = _described(record.exc_info[1])
        return json.dumps(line, default=str, ensure_ascii=False)


def _described(error: BaseException) -> dict[str, Any]:
    frames = traceback.extract_tb(error.__traceback__)
    described: dict[str, Any] = {
        "type": type(error).__name__,
        "at": [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames],
    }
    if isinstance(error, AttuneError):
        described["message"] = str(error)
    return described


def configure(service: str, level: str = "info") -> None:
    """Sends all logs of this process to standard error as JSON lines.

    `level` is a name of the standard library's, in any case. Call once, in main.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(service))
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name, least in LIBRARIES.items():
        logging.getLogger(name).setLevel(least)
