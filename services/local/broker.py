"""The embedded broker: librdkafka's mock cluster, out of the confluent-kafka wheel, as a process.

`EmbeddedBroker` starts `python -m services.local.broker`, which speaks Kafka's protocol on a port
of its own choice. Topics are made through it (the mock has no admin requests), one JSON line each
way per topic. It ends when its standard input closes, so it never outlives the process that
started it. What it cannot do is in docs/adr/0001-embedded-broker-and-store.md.
"""

import ctypes
import importlib.util
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Self

from shared.errors import Unavailable
from shared.settings import Settings
from shared.topics import ALL

DESCRIPTION: Final = "embedded (librdkafka mock)"
FETCH_WAIT_MS: Final = 10
"""The mock does not wake a waiting fetch when data arrives: a reader sees it up to this late."""
STOP_S: Final = 5.0

_PRODUCER: Final = 0
_TOPIC_EXISTS: Final = 36


class EmbeddedBroker:
    """A running embedded broker, empty at each start; it keeps 5 MiB a partition in memory."""

    def __init__(self, process: "subprocess.Popen[str]", bootstrap: str) -> None:
        self._process = process
        self.bootstrap = bootstrap

    @classmethod
    def start(cls) -> Self:
        """Starts one and waits for its address. Raises Unavailable when it cannot run here."""
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        broker = cls(process, "")
        broker.bootstrap = str(broker._answer()["bootstrap"])
        return broker

    @property
    def pid(self) -> int:
        """Process id of the broker."""
        return self._process.pid

    def alive(self) -> bool:
        """Whether the broker still runs."""
        return self._process.poll() is None

    def create(self, topic: str, partitions: int) -> None:
        """Makes a topic; one that exists is left as it is. Raises Unavailable."""
        assert self._process.stdin is not None  # noqa: S101
        try:
            self._process.stdin.write(json.dumps({"topic": topic, "partitions": partitions}) + "\n")
            self._process.stdin.flush()
        except (OSError, ValueError) as error:
            raise Unavailable("the embedded broker has ended") from error
        code = self._answer()["error"]
        if code not in {0, _TOPIC_EXISTS}:
            raise Unavailable(f"the embedded broker refuses topic {topic} (error {code})")

    def create_all(self, settings: Settings) -> None:
        """Makes every topic of the registry in the namespace of `settings`."""
        for topic in ALL:
            partitions = topic.partitions or settings.partitions
            self.create(topic.named(settings.namespace), partitions)

    def adapt(self, settings: Settings) -> Settings:
        """The settings with which services use this broker."""
        return replace(settings, bootstrap=self.bootstrap, fetch_wait_ms=FETCH_WAIT_MS)

    def stop(self) -> None:
        """Ends the broker and waits; safe to call twice."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
        if self._process.stdout is not None:
            self._process.stdout.close()

    def kill(self) -> None:
        """Ends the broker as a crash would; all it held is gone."""
        self._process.kill()
        self._process.wait(STOP_S)

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101
        line = self._process.stdout.readline()
        if not line:
            self.stop()
            raise Unavailable("the embedded broker ended; see its message on standard error")
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def embedded_broker(settings: Settings) -> Iterator[EmbeddedBroker]:
    """A broker with all topics of `settings.namespace`, stopped at the end."""
    broker = EmbeddedBroker.start()
    try:
        broker.create_all(settings)
        yield broker
    finally:
        broker.stop()


def find_librdkafka() -> Path:
    """The library inside the installed confluent-kafka wheel. Raises Unavailable."""
    spec = importlib.util.find_spec("confluent_kafka")
    if spec is None or spec.origin is None:
        raise Unavailable("confluent-kafka is not installed")
    package = Path(spec.origin).parent
    for folder in (package.parent / "confluent_kafka.libs", package / ".dylibs"):
        found = sorted(folder.glob("librdkafka*"))
        if found:
            return found[0]
    raise Unavailable(f"no librdkafka beside {package}: confluent-kafka was not built as a wheel")


class MockCluster:
    """The cluster itself, through ctypes: the only code that runs inside the broker process."""

    def __init__(self, library: Path) -> None:
        self._lib = ctypes.CDLL(str(library))
        self._declare()
        message = ctypes.create_string_buffer(512)
        configuration = self._lib.rd_kafka_conf_new()
        # Or it warns that no bootstrap servers are set: the mock cluster needs none.
        self._lib.rd_kafka_conf_set(configuration, b"log_level", b"3", message, len(message))
        self._client = self._lib.rd_kafka_new(_PRODUCER, configuration, message, len(message))
        if not self._client:
            raise Unavailable(f"librdkafka: {message.value.decode(errors='replace')}")
        self._cluster = self._lib.rd_kafka_mock_cluster_new(self._client, 1)
        if not self._cluster:
            raise Unavailable("librdkafka made no mock cluster")
        # A member that joins waits this long for others; the default is 3 s.
        self._lib.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)

    def _declare(self) -> None:
        pointer, number, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
        for name, result, arguments in (
            ("conf_new", pointer, []),
            ("conf_set", number, [pointer, text, text, text, ctypes.c_size_t]),
            ("new", pointer, [number, pointer, text, ctypes.c_size_t]),
            ("destroy", None, [pointer]),
            ("mock_cluster_new", pointer, [pointer, number]),
            ("mock_cluster_bootstraps", text, [pointer]),
            ("mock_cluster_destroy", None, [pointer]),
            ("mock_topic_create", number, [pointer, text, number, number]),
            ("mock_group_initial_rebalance_delay_ms", None, [pointer, ctypes.c_int32]),
        ):
            function = getattr(self._lib, f"rd_kafka_{name}")
            function.restype, function.argtypes = result, arguments

    @property
    def bootstrap(self) -> str:
        """`host:port`, on the loopback interface."""
        address: bytes = self._lib.rd_kafka_mock_cluster_bootstraps(self._cluster)
        return address.decode()

    def create(self, topic: str, partitions: int) -> int:
        """Kafka's error code: 0, or 36 where the topic exists."""
        code: int = self._lib.rd_kafka_mock_topic_create(
            self._cluster, topic.encode(), partitions, 1
        )
        return code

    def close(self) -> None:
        """Closes the port and frees what the cluster held."""
        self._lib.rd_kafka_mock_cluster_destroy(self._cluster)
        self._lib.rd_kafka_destroy(self._client)


def main() -> None:
    """Serves until standard input closes or a signal says so."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    try:
        cluster = MockCluster(find_librdkafka())
    except (Unavailable, OSError, AttributeError) as error:
        sys.exit(f"embedded broker: {error}")
    try:
        _say({"bootstrap": cluster.bootstrap})
        for line in sys.stdin:
            asked = json.loads(line)
            _say({"error": cluster.create(asked["topic"], asked["partitions"])})
    finally:
        cluster.close()


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
