"""What the public CloudEvents SDK reads of a message, in both modes."""

from datetime import UTC, datetime

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_kafka
from cloudevents.core.formats.json import JSONFormat
from msgspec.structs import replace

from services.profile.cloud_events import Mode, write
from shared.events import MessageDecided

SENT = MessageDecided(
    event_id="fact-1",
    customer="ada",
    occurred_at=1_700_000_000_123,
    received_at=1_700_000_000_123,
    source="attune",
    trigger_id="trigger-1",
    scenario="cart_abandoned",
    channel="email",
    verdict="send",
    reason="allowed",
    trigger='{"decision_id":"trigger-1","payload":{"items":["Lampe für Łukasz"]}}'.encode(),
)


@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_the_sdk_reads_it(mode: Mode) -> None:
    value, headers = write(SENT, mode)
    event = from_kafka(KafkaMessage(dict(headers), b"ada", value), JSONFormat())
    assert event.get_id() == "trigger-1"
    assert event.get_type() == "attune.trigger.cart_abandoned"
    assert event.get_source() == "attune/profile"
    assert event.get_subject() == "ada"
    assert event.get_time() == datetime.fromtimestamp(1_700_000_000.123, UTC)
    assert event.get_dataschema() == "urn:attune:schema:trigger:1"
    assert event.get_datacontenttype() == "application/json"
    assert event.get_data() == {
        "decision_id": "trigger-1",
        "payload": {"items": ["Lampe für Łukasz"]},
    }


@pytest.mark.parametrize("verdict", ["hold", "suppress"])
def test_each_verdict_that_sends_nothing_has_an_id_of_its_own(verdict: str) -> None:
    headers = dict(write(replace(SENT, verdict=verdict), "binary").headers)
    assert headers["ce_id"] == b"fact-1"
    assert headers["ce_dataschema"] == b"urn:attune:schema:suppression:1"


def test_binary_mode_carries_the_decided_bytes() -> None:
    assert write(SENT, "binary").value == SENT.trigger


def test_structured_mode_is_one_json_object() -> None:
    value, headers = write(SENT, "structured")
    assert headers == (("content-type", b"application/cloudevents+json"),)
    assert value.endswith(b',"data":' + SENT.trigger + b"}")
