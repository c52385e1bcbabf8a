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
      Rebalanced                        a partition went to another member of the group
      UnknownTopic                      the broker lacks a topic or partition
    StoreUnavailable      503
      StoreForgot         503           it restarted or was replaced, and may have lost writes
    ArchiveUnavailable    503
      ArchiveConflict                   another writer has written there meanwhile
  LogTruncated            exit 1        part of a log that must be whole is gone
    DatabaseUnavailable   503
  ArchiveMismatch         exit 1        the archive is not of this log
  SettingsError           exit 2        a setting is missing, malformed or refused
"""

from typing import ClassVar


class AttuneError(Exception):
    """Base of all errors that Attune raises on purpose."""

    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1
    code: ClassVar[str] = "internal"


class InvalidInput(AttuneError):
    status = 400
    exit_code = 2
    code = "invalid_input"


class EventRefused(InvalidInput):
    """One event cannot become a fact. `reason` is a short code, counted and kept."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Unauthenticated(AttuneError):
    status = 401
    code = "unauthenticated"


class Forbidden(AttuneError):
    status = 403
    code = "forbidden"


class NotFound(AttuneError):
    status = 404
    exit_code = 2
    code = "not_found"


class TooLarge(AttuneError):
    status = 413
    code = "too_large"


class Busy(AttuneError):
    status = 429
    code = "busy"
    retry_after_s: ClassVar[int] = 1


class Unavailable(AttuneError):
    status = 503
    code = "unavailable"
    retry_after_s: ClassVar[int] = 2


class LogUnavailable(Unavailable):
    code = "log_unavailable"


class Rebalanced(LogUnavailable):
    """A partition went to another member of the group before its offset was committed.

    What was read from it will be read there: drop it and go on.
    """


class UnknownTopic(LogUnavailable):
    """The broker has no such topic, or fewer partitions than the caller counts on."""


class LogTruncated(AttuneError):
    """Part of a log that must be whole is gone: what is derived from it would be wrong."""

    code = "log_truncated"


class StoreUnavailable(Unavailable):
    code = "store_unavailable"


class StoreForgot(StoreUnavailable):
    code = "store_forgot"


class ArchiveUnavailable(Unavailable):
    code = "archive_unavailable"


class ArchiveConflict(ArchiveUnavailable):
    """Another writer has changed the table since this one looked: look again, and go on there."""

    code = "archive_conflict"


class ArchiveMismatch(AttuneError):
    """The archive holds the records of another log: going on would mix two histories."""

    code = "archive_mismatch"


class DatabaseUnavailable(Unavailable):
    code = "database_unavailable"


class SettingsError(AttuneError):
    exit_code = 2
    code = "settings"
