"""Which messages each topic carries, with their headers: the part that types do not know.

asyncapi.py lays these out. Header values are text on the wire.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

from services.commands.contracts import samples, schemas
from services.commands.contracts.schemas import Schema, reference
from services.ingest.reasons import Reason
from services.profile import cloud_events
from shared import headers, topics
from shared.catalogue import Change
from shared.events import FACT_TYPES, INPUT_TYPES, Fact, MessageDecided
from shared.topics import Topic
from shared.triggers import CLOUDEVENTS_VERSION, SOURCE

SENT: Final = frozenset(topic.name for topic in topics.ALL if topic not in topics.RAW)
"""Topics that Attune itself writes; the raw ones are the shops'."""

SRC_EXAMPLE: Final = "clickstream/3/1207"
AT_EXAMPLE: Final = str(samples.NOON + 40)
IDENTITY: Final = "`c:<customer>`, else `a:<anonymous>`"


@dataclass(frozen=True, slots=True)
class Message:
    """One kind of message. `headers`: name → schema; `key`: what the record's key is."""

    name: str
    title: str
    summary: str
    payload: Schema
    key: str
    headers: dict[str, Schema]
    example_headers: dict[str, str]
    examples: list[dict[str, Any]]
    required_headers: tuple[str, ...] = ()
    content_type: str = "application/json"


def _text(description: str, **rules: Any) -> Schema:
    return {"type": "string", "description": description, **rules}


_NUMBER: Final = {"pattern": "^-?[0-9]+$"}
_POSITION: Final = {"pattern": "^[^/]+/[0-9]+/[0-9]+$"}

RAW_HEADERS: Final[dict[str, Schema]] = {
    headers.FORMAT: _text(
        "Format of the value; absent: told by its shape.",
        enum=["native", "segment", "cloudevents"],
    ),
    headers.RECEIVED_AT: _text("Business epoch ms at which the collector took it.", **_NUMBER),
    headers.SENT_AT: _text("Epoch ms at which the client sent it, by its own clock.", **_NUMBER),
    headers.AUTH: _text(
        "Which kind of key vouched for it; absent: trusted like a server key.",
        enum=["server", "browser"],
    ),
    headers.SUBJECT: _text("Customer id that an identity token proved."),
    headers.SOURCE: _text("Where it came from; absent: told by its format."),
    headers.AT: _text("Real epoch ms of acceptance.", **_NUMBER),
    headers.SRC: _text("Only on a replayed dead letter: where it first stood.", **_POSITION),
    headers.ATTEMPT: _text("Only on a replayed dead letter: which attempt this is.", **_NUMBER),
}
EVENT_HEADERS: Final[dict[str, Schema]] = {
    headers.SRC: _text(
        "Position of the raw event: topic/partition/offset. The balance counts these.",
        **_POSITION,
    ),
    headers.AT: _text("Real epoch ms at which it was accepted.", **_NUMBER),
}
OWN_HEADERS: Final[dict[str, Schema]] = {
    headers.CAUSE: _text("Id of the event, or the timer, that made Attune state this."),
    headers.AT: EVENT_HEADERS[headers.AT],
}
DEAD_HEADERS: Final[dict[str, Schema]] = {
    headers.SRC: EVENT_HEADERS[headers.SRC],
    headers.STAGE: _text("Where it was refused."),
    headers.REASON: _text("Why, as a code.", enum=[str(reason) for reason in Reason]),
    headers.MESSAGE: _text("Why, for people; names fields, never their values."),
    headers.ATTEMPT: _text("How often it was tried.", **_NUMBER),
    headers.FIRST_SEEN: _text("Epoch ms at which it was first refused.", **_NUMBER),
    headers.ORIGINAL_BYTES: _text(
        "Only where the value was too large and was cut: its size before.", **_NUMBER
    ),
}
CLOUD_HEADERS: Final[dict[str, Schema]] = {
    "ce_specversion": _text("CloudEvents version.", const=CLOUDEVENTS_VERSION),
    "ce_id": _text(
        "What a repetition is known by: the trigger's id; of a suppression that of its verdict, "
        "since one trigger may be held several times."
    ),
    "ce_source": _text("Who decided.", const=SOURCE),
    "ce_type": _text("The scenario, behind `attune.trigger.`.", pattern=r"^attune\.trigger\."),
    "ce_subject": _text("The customer."),
    "ce_time": _text("Business time of the decision, RFC 3339."),
    "ce_dataschema": _text("Names the schema of the value."),
    "content-type": _text("Of the value.", const=cloud_events.DATA_TYPE),
}
CLOUD_REQUIRED: Final = tuple(name for name in CLOUD_HEADERS if name != "ce_subject")
STRUCTURED_HEADERS: Final[dict[str, Schema]] = {
    "content-type": _text("Of the value.", const=cloud_events.STRUCTURED_TYPE)
}
TWO_MODES: Final = (
    "The setting ATTUNE_CLOUDEVENTS says which of the two modes of CloudEvents a deployment writes."
)


def messages_of(topic: Topic) -> list[Message]:
    """The messages of a topic. Raises LookupError for a topic that nobody described."""
    if topic in topics.RAW:
        return _raw(topic)
    if topic == topics.EVENTS:
        return [_fact(name, kind) for name, kind in FACT_TYPES.items()]
    if topic == topics.DEAD_LETTERS:
        return [_dead_letter()]
    if topic == topics.CATALOGUE:
        return [_change()]
    if topic == topics.DECISIONS:
        return [_decision()]
    if topic == topics.SUPPRESSIONS:
        return _suppression()
    if topic.name in {topics.triggers(channel).name for channel in topics.CHANNELS}:
        return _trigger()
    raise LookupError(f"channels.py does not say what {topic.name} carries")


def _raw(topic: Topic) -> list[Message]:
    orders = topic == topics.PURCHASES
    known = ("purchased", "refunded") if orders else ("item_viewed", "cart_added", "searched")
    prefix = "order" if orders else "behaviour"
    formats = (
        ("Native", schemas.NATIVE, "native", [samples.of_event(name) for name in known]),
        ("Segment", schemas.SEGMENT, "segment", [] if orders else [samples.of_segment()]),
        ("CloudEvent", schemas.CLOUD_EVENT, "cloudevents", [samples.of_cloud_event()]),
    )
    return [
        Message(
            name=prefix + name,
            title=f"{'An order' if orders else 'Behaviour'}, {form} format",
            summary=f"A raw event in the {form} format, as the shop sent it.",
            payload=reference(schema),
            key=f"{IDENTITY}; or none",
            headers=RAW_HEADERS,
            example_headers={headers.FORMAT: form},
            examples=examples,
        )
        for name, schema, form, examples in formats
    ]


def _fact(name: str, kind: type[Fact]) -> Message:
    own = name not in INPUT_TYPES
    words = name.replace("_", " ")
    return Message(
        name=kind.__name__,
        title=words.capitalize(),
        summary=f"The fact `{name}`, stated by {'Attune itself' if own else 'the shop'}.",
        payload=reference(kind.__name__),
        key=IDENTITY,
        headers=OWN_HEADERS if own else EVENT_HEADERS,
        required_headers=(headers.CAUSE,) if own else (headers.SRC, headers.AT),
        example_headers={
            **({headers.CAUSE: samples.FIELDS["event_id"]} if own else {headers.SRC: SRC_EXAMPLE}),
            headers.AT: AT_EXAMPLE,
        },
        examples=[samples.of_fact(kind)],
    )


def _dead_letter() -> Message:
    return Message(
        name="deadLetter",
        title="Dead letter",
        summary="A raw event that was refused: its original bytes and key, and why.",
        payload={},
        key="as received",
        headers=DEAD_HEADERS,
        required_headers=tuple(name for name in DEAD_HEADERS if name != headers.ORIGINAL_BYTES),
        example_headers={
            headers.SRC: SRC_EXAMPLE,
            headers.STAGE: "normalise",
            headers.REASON: str(Reason.NEGATIVE_PRICE),
            headers.MESSAGE: "price: below 0",
            headers.ATTEMPT: "1",
            headers.FIRST_SEEN: AT_EXAMPLE,
        },
        examples=[{**samples.of_event("item_viewed"), "price": -1}],
        content_type="application/octet-stream",
    )


def _change() -> Message:
    return Message(
        name="CatalogueChange",
        title="Something in the catalogue changed",
        summary="An item or an offer as it stands now; an empty value deletes it.",
        payload={
            "oneOf": [
                reference(name) for name in schemas.components([Change]) if name.endswith("Changed")
            ]
        },
        key="`item:<id>`, `offer:<id>`: the topic keeps the newest of each",
        headers={},
        example_headers={},
        examples=[samples.of_item_changed()],
    )


def _decision() -> Message:
    return Message(
        name="Decision",
        title="A decision on offers",
        summary="What was offered, to whom, why, with which features and propensities.",
        payload=reference("Decision"),
        key=IDENTITY,
        headers={},
        example_headers={},
        examples=[samples.of_decision()],
    )


def _trigger() -> list[Message]:
    return _cloud_events(
        "Trigger",
        "A customer's moment",
        "A CloudEvent to act on now. What must not be sent never stands here.",
        samples.of_message(sent=True),
    )


def _suppression() -> list[Message]:
    return _cloud_events(
        "Suppression",
        "A message that was not sent",
        "A CloudEvent: what was withheld, why, and when it is asked about again.",
        samples.of_message(sent=False),
    )


def _cloud_events(name: str, title: str, summary: str, message: MessageDecided) -> list[Message]:
    """The same event in both modes, as the publisher writes it."""
    binary = cloud_events.write(message, "binary")
    structured = cloud_events.write(message, "structured")
    key = "the customer's id"
    return [
        Message(
            name=name,
            title=title,
            summary=f"{summary} Attributes in headers (binary mode). {TWO_MODES}",
            payload=reference(name),
            key=key,
            headers=CLOUD_HEADERS,
            required_headers=CLOUD_REQUIRED,
            example_headers={each: value.decode() for each, value in binary.headers},
            examples=[json.loads(binary.value)],
        ),
        Message(
            name=f"{name}Structured",
            title=f"{title}, structured",
            summary=f"{summary} Attributes in the value (structured mode). {TWO_MODES}",
            payload=_structured(name),
            key=key,
            headers=STRUCTURED_HEADERS,
            required_headers=("content-type",),
            example_headers={each: value.decode() for each, value in structured.headers},
            examples=[json.loads(structured.value)],
            content_type=cloud_events.STRUCTURED_TYPE,
        ),
    ]


def _structured(name: str) -> Schema:
    attributes = {
        each.removeprefix("ce_"): schema
        for each, schema in CLOUD_HEADERS.items()
        if each.startswith("ce_")
    }
    return {
        "type": "object",
        "properties": {
            **attributes,
            "datacontenttype": CLOUD_HEADERS["content-type"],
            "data": reference(name),
        },
        "required": [each.removeprefix("ce_") for each in CLOUD_REQUIRED[:-1]] + ["data"],
    }
