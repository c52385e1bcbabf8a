"""What can go wrong, as a tree. Each error knows the status that HTTP and commands answer with.

AttuneError
  InvalidInput            400, exit 2   the caller can mend it
    EventRefused          400           one event, with a reason code for the dead letter
  Unauthenticated         401
  Forbidden               403
  NotFound                404
  TooLarge                413
  Busy                    429           try again after `retry_after_s`
  Unavailable             503           something Attune needs does not answer
    LogUnavailable        503
    StoreUnavailable      503
    DatabaseUnavailable   503
  SettingsError           exit 2        a setting is missing, malformed or refused
"""

from typing import ClassVar


class AttuneError(Exception):
    """Base of all errors that Attune raises on purpose."""

    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "internal"


class InvalidInput(AttuneError):  # noqa: N818  (named for what happened, like the facts)
    status = 400
    exit_code = 2
    code = "invalid_input"


class EventRefused(InvalidInput):
    """One event cannot become a fact. `reason` is a short code, counted and kept."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Unauthenticated(AttuneError):  # noqa: N818
    status = 401
    code = "unauthenticated"


class Forbidden(AttuneError):  # noqa: N818
    status = 403
    code = "forbidden"


class NotFound(AttuneError):  # noqa: N818
    status = 404
    exit_code = 2
    code = "not_found"


class TooLarge(AttuneError):  # noqa: N818
    status = 413
    code = "too_large"


class Busy(AttuneError):  # noqa: N818
    status = 429
    code = "busy"
    retry_after_s: ClassVar[int] = 1


class Unavailable(AttuneError):  # noqa: N818
    status = 503
    code = "unavailable"
    retry_after_s: ClassVar[int] = 2


class LogUnavailable(Unavailable):
    code = "log_unavailable"


class StoreUnavailable(Unavailable):
    code = "store_unavailable"


class DatabaseUnavailable(Unavailable):
    code = "database_unavailable"


class SettingsError(AttuneError):
    exit_code = 2
    code = "settings"
