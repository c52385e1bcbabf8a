"""Settings that all services share, read once from `ATTUNE_*` and then passed explicitly."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Self, get_args, get_origin

from shared.clock import Clock
from shared.errors import SettingsError


class FromEnvironment:
    """Reads a frozen dataclass from the environment: field `x` from `<prefix>X`."""

    prefix = "ATTUNE_"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Self:
        """Raises SettingsError, naming the variable, when a value does not parse."""
        source = os.environ if environment is None else environment
        values: dict[str, Any] = {}
        for entry in fields(cls):  # type: ignore[arg-type]
            name = cls.prefix + entry.name.upper()
            if name not in source:
                continue
            try:
                values[entry.name] = _parse(entry.type, source[name])
            except ValueError as error:
                raise SettingsError(f"{name}: {error}") from None
        return cls(**values)


def _parse(kind: Any, text: str) -> Any:
    if kind is bool:
        if text.lower() not in {"0", "1", "true", "false"}:
            raise ValueError(f"true or false, not {text!r}")
        return text.lower() in {"1", "true"}
    if get_origin(kind) is Literal:
        if text not in get_args(kind):
            raise ValueError(f"{' or '.join(get_args(kind))}, not {text!r}")
        return text
    if kind is Clock:
        return Clock.parse(text)
    return kind(text)


@dataclass(frozen=True, slots=True)
class Settings(FromEnvironment):
    """Where the log, the store and the database are, and how this deployment runs.

    fetch_wait_ms: how long a fetch may wait at the broker; the embedded broker does not wake a
    waiting fetch when data arrives, so embedded runs keep it short.
    redis_cluster: `redis` names any node of a Redis Cluster; the others are found through it.
    store_durability: `aof` (Redis appends to its log each second; offsets wait for it, and are
    held where it does not) or `volatile` (they do not wait, and a Redis that restarts is refused).
    cloudevents: `binary` (attributes in the record's headers) or `structured` (all in its value):
    how triggers and suppressions are written.
    archive: folder or object-store URL of the archive's tables; what a store needs besides (keys,
    region, endpoint) comes from its own variables, such as AWS_ACCESS_KEY_ID.
    """

    environment: str = "development"
    bootstrap: str = "127.0.0.1:9092"
    redis: str = "redis://127.0.0.1:6379/0"
    redis_cluster: bool = False
    database: str = "sqlite+aiosqlite:///.attune/attune.db"
    namespace: str = ""
    clock: Clock = field(default_factory=Clock)
    partitions: int = 16
    replication: int = 1
    host: str = "127.0.0.1"
    fetch_wait_ms: int = 500
    idempotent_produce: bool = True
    store_durability: str = "aof"
    models: str = ".attune/models"
    archive: str = ".attune/archive"
    cloudevents: Literal["binary", "structured"] = "binary"
    scenarios: str = ""

    def __post_init__(self) -> None:
        if self.environment == "production" and self.clock.accelerated:
            raise SettingsError("ATTUNE_CLOCK: production runs on real time only")
        if self.store_durability not in {"aof", "volatile"}:
            raise SettingsError("ATTUNE_STORE_DURABILITY: aof or volatile")
        if not 1 <= self.partitions <= 1024:
            raise SettingsError("ATTUNE_PARTITIONS: 1 to 1024")
