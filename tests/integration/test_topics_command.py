"""`attune topics` against a real broker, and without one."""

import json

import pytest
from click.testing import CliRunner, Result

from services.commands.topics import command
from services.local.apache import ApacheKafka
from services.local.broker import EmbeddedBroker
from services.local.ports import free_port
from shared.settings import Settings
from shared.topics import ALL


def run(bootstrap: str, namespace: str, *arguments: str, partitions: int = 4) -> Result:
    environment = {
        "ATTUNE_BOOTSTRAP": bootstrap,
        "ATTUNE_NAMESPACE": namespace,
        "ATTUNE_PARTITIONS": str(partitions),
    }
    return CliRunner().invoke(command, arguments, env=environment)


def answer(result: Result) -> dict[str, object]:
    assert result.exit_code == 0, result.output
    parsed: dict[str, object] = json.loads(result.stdout.splitlines()[-1])
    return parsed


@pytest.mark.kafka
def test_missing_topics_are_created_and_differing_ones_left_alone(
    kafka_broker: ApacheKafka, namespace: str
) -> None:
    bootstrap = kafka_broker.bootstrap
    before = answer(run(bootstrap, namespace, "list", "--json"))
    assert [row["exists"] for row in before["topics"]] == [False] * len(ALL)  # type: ignore[attr-defined]
    created = answer(run(bootstrap, namespace, "create", "--json"))
    assert created["created"] == [topic.named(namespace) for topic in ALL]
    again = answer(run(bootstrap, namespace, "create", "--json", partitions=6))
    assert again["created"] == []
    assert again["differences"][f"{namespace}.events"] == ["partitions is 4, wanted 6"]  # type: ignore[index]
    listed = run(bootstrap, namespace, "list", partitions=6)
    assert f"{namespace}.catalogue" in listed.output
    assert "partitions is 4, wanted 6" in listed.output
    assert "as wanted" in listed.output


def test_topics_of_the_embedded_broker_are_listed(
    embedded_broker: EmbeddedBroker, base_settings: Settings
) -> None:
    embedded_broker.create_all(base_settings)
    listed = answer(run(embedded_broker.bootstrap, base_settings.namespace, "list", "--json"))
    assert all(row["exists"] and not row["differences"] for row in listed["topics"])  # type: ignore[attr-defined]


@pytest.mark.parametrize("action", ["list", "create"])
def test_without_a_broker_one_line_names_the_address(namespace: str, action: str) -> None:
    bootstrap = f"127.0.0.1:{free_port()}"
    result = run(bootstrap, namespace, action)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert bootstrap in result.stderr
