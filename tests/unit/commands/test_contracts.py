"""docs/openapi.json and docs/asyncapi.yaml: valid, fresh, and with examples that hold."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from click.testing import CliRunner
from fastapi import FastAPI
from jsonschema import Draft7Validator, Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from pydantic import BaseModel, create_model
from starlette.responses import Response

from services.commands.contracts import channels, openapi, samples
from services.commands.contracts.__main__ import command, documents, stale
from services.ingest.normalise import normalise
from shared import catalogue, decisions, events, headers, topics, triggers

ROOT = Path(__file__).resolve().parents[3]
ASYNCAPI_SCHEMA = ROOT / "tests" / "fixtures" / "asyncapi" / "3.0.0.json"


@pytest.fixture(scope="module")
def async_document() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(documents()["asyncapi.yaml"])
    return loaded


@pytest.fixture(scope="module")
def open_document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(documents()["openapi.json"])
    return loaded


def test_the_committed_documents_are_fresh() -> None:
    assert stale(ROOT / "docs") == [], "run make docs"


def test_asyncapi_is_valid_by_its_official_schema(async_document: dict[str, Any]) -> None:
    validator = Draft7Validator(json.loads(ASYNCAPI_SCHEMA.read_text()))
    assert [error.message for error in validator.iter_errors(async_document)] == []


def test_the_official_schema_does_refuse(async_document: dict[str, Any]) -> None:
    validator = Draft7Validator(json.loads(ASYNCAPI_SCHEMA.read_text()))
    broken = {**async_document, "channels": {"events": {"adress": "events"}}}
    assert not validator.is_valid(broken)


def test_openapi_is_valid_by_its_official_schema(open_document: dict[str, Any]) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(open_document).iter_errors()] == []


def test_every_topic_is_a_channel_with_its_settings(async_document: dict[str, Any]) -> None:
    found = {channel["address"]: channel for channel in async_document["channels"].values()}
    assert set(found) == {topic.name for topic in topics.ALL}
    for topic in topics.ALL:
        kafka = found[topic.name]["bindings"]["kafka"]["topicConfiguration"]
        assert kafka["retention.ms"] == topic.retention_ms
        assert kafka["cleanup.policy"] == [topic.cleanup]


def test_an_undescribed_topic_stops_the_generator() -> None:
    with pytest.raises(LookupError, match="does not say what novelty carries"):
        channels.messages_of(topics.Topic("novelty", "something", "none", 1))


def test_every_reference_leads_somewhere(
    async_document: dict[str, Any], open_document: dict[str, Any]
) -> None:
    for document in (async_document, open_document):
        for target in references(document):
            found: Any = document
            for part in target.removeprefix("#/").split("/"):
                found = found[part.replace("~1", "/")]
            assert found is not None


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(entry) for entry in value.values()))
    if isinstance(value, list):
        return set().union(*(references(entry) for entry in value))
    return set()


def test_every_message_example_holds_by_its_own_schema(async_document: dict[str, Any]) -> None:
    shared_schemas = {"components": {"schemas": async_document["components"]["schemas"]}}
    for name, message in async_document["components"]["messages"].items():
        payload = Draft202012Validator({**shared_schemas, **message["payload"]})
        in_headers = Draft202012Validator(message["headers"])
        for example in message["examples"]:
            found = [*payload.iter_errors(example["payload"])]
            found += in_headers.iter_errors(example["headers"])
            assert (name, [error.message for error in found]) == (name, [])


@pytest.mark.parametrize("kind", events.FACT_TYPES.values(), ids=lambda kind: kind.__name__)
def test_every_fact_example_decodes(kind: type[events.Fact]) -> None:
    assert isinstance(events.decode(msgspec.json.encode(samples.of_fact(kind))), kind)


def test_other_examples_decode() -> None:
    encode = msgspec.json.encode
    assert catalogue.decode(encode(samples.of_item_changed()))
    assert decisions.decode_decision(encode(samples.of_decision()))
    assert triggers.decode(samples.of_message(sent=True).trigger)
    held = samples.of_message(sent=False).trigger
    assert msgspec.json.decode(held, type=triggers.Suppression).suppressed_by == "budget"


def test_a_required_field_without_a_value_is_named() -> None:
    class Novelty(events.Fact, kw_only=True, tag="novelty"):
        surprise: str

    with pytest.raises(LookupError, match=r"a value for Novelty\.surprise"):
        samples.of_fact(Novelty)
    with pytest.raises(LookupError, match="timer_fired is not for shops to send"):
        samples.of_event("timer_fired")


def test_a_document_that_differs_or_lacks_is_stale(tmp_path: Path) -> None:
    runner = CliRunner()
    checked = runner.invoke(command, ["--check", str(tmp_path)])
    assert checked.exit_code == 1
    assert "openapi.json is stale: run make docs" in checked.output
    assert runner.invoke(command, [str(tmp_path)]).exit_code == 0
    assert runner.invoke(command, ["--check", str(tmp_path)]).exit_code == 0
    (tmp_path / "asyncapi.yaml").write_text("asyncapi: 2.6.0\n")
    assert stale(tmp_path) == ["asyncapi.yaml"]


@pytest.mark.parametrize("name", sorted(events.INPUT_TYPES))
def test_every_example_of_an_event_is_accepted(name: str) -> None:
    sent = msgspec.json.encode(samples.of_event(name))
    assert events.fact_type(normalise(sent, received_at=samples.NOON)) == name


@pytest.mark.parametrize("example", [samples.of_segment(), samples.of_cloud_event()])
def test_examples_of_other_formats_are_accepted(example: dict[str, Any]) -> None:
    fact = normalise(msgspec.json.encode(example), received_at=samples.NOON)
    assert events.fact_type(fact) == "item_viewed"


def test_every_header_is_described(async_document: dict[str, Any]) -> None:
    described = {
        header
        for message in async_document["components"]["messages"].values()
        for header in message["headers"]["properties"]
    }
    names = {
        value
        for name, value in vars(headers).items()
        if name.isupper() and not name.startswith("_")
    }
    assert names <= described


def application(**answers: type) -> FastAPI:
    """An application with one path for each name, answering with that type."""
    app = FastAPI()
    for name, kind in answers.items():
        app.add_api_route(f"/{name}", lambda: None, response_model=kind)
    return app


def test_two_applications_become_one_document() -> None:
    class Answer(BaseModel):
        number: int

    first = application(health=Answer, offers=Answer)
    Other = create_model("Answer", text=(str, ...))  # noqa: N806  (the same name, another type)
    second = application(health=Other, events=Other)
    one = openapi.merged({"first": ("http://a", first), "second": ("http://b", second)})
    assert [server["url"] for server in one["servers"]] == ["http://a", "http://b"]
    assert "servers" not in one["paths"]["/health"]
    assert one["paths"]["/events"]["servers"][0]["url"] == "http://b"
    assert {"Answer", "SecondAnswer"} <= set(one["components"]["schemas"])
    answer = one["paths"]["/events"]["get"]["responses"]["200"]["content"]["application/json"]
    assert answer["schema"] == {"$ref": "#/components/schemas/SecondAnswer"}
    assert list(OpenAPIV31SpecValidator(one).iter_errors()) == []


def test_a_route_that_nobody_describes_stops_the_generator() -> None:
    app = application(offers=int)
    app.add_route("/v1/secret", lambda _: Response())
    with pytest.raises(LookupError, match="shop does not describe /v1/secret"):
        openapi.merged({"shop": ("http://a", app)})
