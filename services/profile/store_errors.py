"""What Redis refuses or fails at, in the words of the profile service."""

from collections.abc import Iterator
from contextlib import contextmanager

from redis.exceptions import ReadOnlyError, RedisError, ResponseError

from shared.errors import StoreForgot, StoreUnavailable
from shared.store import AnotherServer


@contextmanager
def translated() -> Iterator[None]:
    """Raises StoreForgot or StoreUnavailable, and never names anybody."""
    try:
        yield
    except AnotherServer as error:
        raise StoreForgot(str(error)) from error
    except ReadOnlyError as error:
        # It was demoted: what it takes over from its new master may lack what was written here.
        raise StoreForgot("the server has become a replica") from error
    except ResponseError as error:
        # Its text may quote the command, and commands name people.
        raise StoreUnavailable(f"Redis refused a command: {type(error).__name__}") from error
    except (RedisError, OSError, TimeoutError) as error:
        raise StoreUnavailable(f"Redis: {type(error).__name__}: {error}") from error
