"""Apache Kafka itself, KRaft nodes from Maven's jars: for benchmarks and tests.

`find_apache` says whether Java and the jars are at hand (`make kafka-jars` fetches them into
`ATTUNE_KAFKA_LIB`); `start_apache` runs a node that tests may stop, kill and restart on its data,
`apache_cluster` several that replicate each other's partitions.
"""

import asyncio
import base64
import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from services.local.guard import Guarded, tail
from services.local.ports import HOST, free_ports
from shared import bus
from shared.errors import AttuneError, Unavailable
from shared.settings import Settings

START_S = 60.0
HEAP = "-Xmx384m"

PROPERTIES = """\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={logs}
default.replication.factor={copies}
min.insync.replicas={in_sync}
offsets.topic.replication.factor={copies}
offsets.topic.num.partitions=4
transaction.state.log.replication.factor={copies}
transaction.state.log.min.isr={in_sync}
share.coordinator.state.topic.replication.factor={copies}
share.coordinator.state.topic.min.isr={in_sync}
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
"""
LOGGING = """\
Configuration:
  Appenders:
    Console: {name: STDOUT, target: SYSTEM_OUT, PatternLayout: {pattern: "%d %p %c{1} %m%n"}}
  Loggers:
    Root: {level: warn, AppenderRef: [{ref: STDOUT}]}
"""


@dataclass(frozen=True, slots=True)
class Apache:
    """Where the programs are: `java` and the folder of Kafka's jars; `version` of Kafka."""

    java: str
    jars: Path
    version: str


@dataclass(frozen=True, slots=True)
class Missing:
    """Why Apache Kafka cannot run here, in words for a person."""

    reason: str


def jar_folder() -> Path:
    """`ATTUNE_KAFKA_LIB`, or where `make kafka-jars` puts the jars."""
    default = Path.home() / ".cache" / "attune-kafka" / "lib"
    return Path(os.environ.get("ATTUNE_KAFKA_LIB") or default)


def look_for_apache() -> Apache | Missing:
    """Java and the jars, or the reason why not; starts nothing but `java -version`."""
    java = shutil.which("java")
    if java is None:
        return Missing("Java is not installed (Apache Kafka needs 17 or later)")
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)  # noqa: S603
    quoted = answer.stderr.split('"')
    major = quoted[1].split(".")[0] if len(quoted) > 1 else ""
    if not major.isdigit() or int(major) < 17:
        return Missing(f"Apache Kafka needs Java 17 or later, this is {major or 'unknown'}")
    jars = jar_folder()
    cores = sorted(jars.glob("kafka_2.13-*.jar"))
    if not cores:
        return Missing(f"no Kafka jars in {jars}: run `make kafka-jars`")
    return Apache(java, jars, cores[-1].stem.removeprefix("kafka_2.13-"))


def find_apache() -> Apache | None:
    """Apache Kafka where it can run here, else None; `look_for_apache` tells the reason."""
    found = look_for_apache()
    return found if isinstance(found, Apache) else None


@dataclass(slots=True)
class ApacheKafka:
    """A running node; it keeps port and data when stopped, so `restart` is the same broker."""

    apache: Apache
    directory: Path
    port: int
    process: Guarded

    @property
    def bootstrap(self) -> str:
        """Address for `ATTUNE_BOOTSTRAP`."""
        return f"{HOST}:{self.port}"

    @property
    def description(self) -> str:
        """Name and version for reports."""
        return f"Apache Kafka {self.apache.version}"

    @property
    def pid(self) -> int:
        """Process id of the Java machine."""
        return self.process.pid

    def stop(self) -> None:
        """Shuts the node down and waits."""
        self.process.stop(30)

    def kill(self) -> None:
        """Ends the node as a crash would."""
        self.process.kill()

    def restart(self) -> None:
        """Starts the stopped or killed node again and waits until it serves."""
        self.process = _launch(self.apache, self.directory)
        self.await_serving()

    def await_serving(self) -> None:
        """Waits until a group can join through this node; raises Unavailable when it cannot."""
        settings = Settings(bootstrap=self.bootstrap)
        # In a thread, because the caller may have an event loop of its own running.
        with ThreadPoolExecutor(1) as pool:
            self.process.await_ready(
                lambda: pool.submit(lambda: asyncio.run(_serves(settings))).result(),
                START_S,
                "Apache Kafka",
            )


@dataclass(frozen=True, slots=True)
class ApacheCluster:
    """Nodes that hold copies of each other's partitions; two of three copies acknowledge."""

    nodes: tuple[ApacheKafka, ...]

    @property
    def bootstrap(self) -> str:
        """Addresses for `ATTUNE_BOOTSTRAP`."""
        return ",".join(node.bootstrap for node in self.nodes)


def start_apache(directory: Path) -> ApacheKafka:
    """Formats `directory`, starts a node on free ports and waits until a group can join.

    Blocks for some seconds: in a running event loop call it through `asyncio.to_thread`. Raises
    Unavailable, with the reason, when Java or the jars are missing or the node does not come up.
    """
    [node] = _start(directory, 1)
    return node


@contextmanager
def apache_kafka(directory: Path) -> Iterator[ApacheKafka]:
    """A node, stopped at the end."""
    kafka = start_apache(directory)
    try:
        yield kafka
    finally:
        kafka.stop()


@contextmanager
def apache_cluster(directory: Path, nodes: int = 3) -> Iterator[ApacheCluster]:
    """That many nodes, stopped at the end."""
    cluster = ApacheCluster(_start(directory, nodes))
    try:
        yield cluster
    finally:
        for node in cluster.nodes:
            # Those that wait for a quorum that is going would take their time.
            node.kill()


def _start(directory: Path, nodes: int) -> tuple[ApacheKafka, ...]:
    found = look_for_apache()
    if isinstance(found, Missing):
        raise Unavailable(found.reason)
    ports = free_ports(2 * nodes)
    cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    started = []
    for number, port in enumerate(ports[:nodes]):
        own = directory if nodes == 1 else directory / f"node-{number + 1}"
        own.mkdir(parents=True, exist_ok=True)
        _configure(own, number + 1, port, ports[nodes:])
        _format(found, own, cluster)
        started.append(ApacheKafka(found, own, port, _launch(found, own)))
    for node in started:
        node.await_serving()
    return tuple(started)


def _configure(directory: Path, node: int, port: int, controllers: Sequence[int]) -> None:
    text = PROPERTIES.format(
        host=HOST,
        node=node,
        port=port,
        controller=controllers[node - 1],
        voters=",".join(f"{n + 1}@{HOST}:{at}" for n, at in enumerate(controllers)),
        copies=len(controllers),
        in_sync=len(controllers) // 2 + 1,
        logs=directory / "logs",
    )
    (directory / "server.properties").write_text(text)
    (directory / "log4j2.yaml").write_text(LOGGING)


def _java(apache: Apache, directory: Path) -> list[str]:
    return [
        apache.java,
        HEAP,
        "-XX:TieredStopAtLevel=1",
        "-XX:+UseSerialGC",
        f"-Dlog4j2.configurationFile={directory / 'log4j2.yaml'}",
        "-cp",
        f"{apache.jars}/*",
    ]


def _format(apache: Apache, directory: Path, cluster: str) -> None:
    with (directory / "kafka.log").open("ab") as log:
        done = subprocess.run(  # noqa: S603
            [
                *_java(apache, directory),
                "kafka.tools.StorageTool",
                "format",
                # An id that begins with a dash would be taken for an option.
                f"--cluster-id={cluster}",
                "--config",
                str(directory / "server.properties"),
            ],
            stdout=log,
            stderr=log,
            check=False,
        )
    if done.returncode:
        raise Unavailable(f"Kafka cannot format {directory}: {tail(directory / 'kafka.log')}")


def _launch(apache: Apache, directory: Path) -> Guarded:
    return Guarded.start(
        [*_java(apache, directory), "kafka.Kafka", str(directory / "server.properties")],
        log=directory / "kafka.log",
    )


async def _serves(settings: Settings) -> bool:
    # The port opens a little before the group coordinator is there.
    try:
        await bus.ping(settings, groups=True)
    except AttuneError:
        return False
    return True
