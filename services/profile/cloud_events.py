"""The arbiter's messages as CloudEvents 1.0 over Kafka: attributes in headers, or all in the value.

Below `publisher`. Pure. The id is what a consumer knows repetitions by: a trigger's own id; of a
verdict that sends nothing the id of its fact, since one trigger may be held several times.
"""

from datetime import UTC, datetime
from typing import Final, Literal, NamedTuple, TypeAlias

import msgspec

from shared.events import MessageDecided
from shared.headers import Headers
from shared.triggers import CLOUDEVENTS_VERSION, SOURCE

Mode: TypeAlias = Literal["binary", "structured"]

DATA_TYPE: Final = "application/json"
STRUCTURED_TYPE: Final = "application/cloudevents+json"
TRIGGER_SCHEMA: Final = "urn:attune:schema:trigger:1"
SUPPRESSION_SCHEMA: Final = "urn:attune:schema:suppression:1"
"""Name the schemas `Trigger` and `Suppression` of docs/asyncapi.yaml; the number goes up when a
field goes or changes its meaning, not when one is added."""
PREFIX: Final = "attune.trigger."

_encoder = msgspec.json.Encoder()


class Written(NamedTuple):
    """A record's value and headers."""

    value: bytes
    headers: Headers


def write(message: MessageDecided, mode: Mode) -> Written:
    """The record of a message; its data is byte for byte what was decided."""
    attributes = _attributes(message)
    if mode == "structured":
        event = {**attributes, "datacontenttype": DATA_TYPE, "data": msgspec.Raw(message.trigger)}
        return Written(_encoder.encode(event), (("content-type", STRUCTURED_TYPE.encode()),))
    headers = tuple((f"ce_{name}", value.encode()) for name, value in attributes.items())
    return Written(message.trigger, (*headers, ("content-type", DATA_TYPE.encode())))


def _attributes(message: MessageDecided) -> dict[str, str]:
    sent = message.verdict == "send"
    found = {
        "specversion": CLOUDEVENTS_VERSION,
        "id": message.trigger_id if sent else message.event_id,
        "type": PREFIX + message.scenario,
        "source": SOURCE,
        "time": _rfc3339(message.occurred_at),
        "dataschema": TRIGGER_SCHEMA if sent else SUPPRESSION_SCHEMA,
    }
    if message.customer:
        found["subject"] = message.customer
    return found


def _rfc3339(epoch_ms: int) -> str:
    seconds, millis = divmod(epoch_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{millis:03d}Z"
