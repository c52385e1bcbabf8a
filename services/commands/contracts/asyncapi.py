"""docs/asyncapi.yaml: every topic, its messages, headers, schemas and examples, as AsyncAPI 3.0.

Made of shared/topics.py (addresses, keys, retention) and the types of shared/; channels.py says
which messages a topic carries. A topic without messages stops the generator.
"""

from typing import Any, Final

import shared
from services.commands.contracts import schemas
from services.commands.contracts.channels import SENT, Message, messages_of
from shared import topics
from shared.catalogue import Change
from shared.decisions import Decision
from shared.events import FACT_TYPES
from shared.topics import Topic
from shared.triggers import Suppression, Trigger

KAFKA_BINDING: Final = "0.5.0"


def document() -> dict[str, Any]:
    """The whole document. The order of its parts is fixed, so equal code gives equal bytes."""
    channels = {identifier(topic): channel(topic) for topic in topics.ALL}
    messages = {message.name: message for topic in topics.ALL for message in messages_of(topic)}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Attune",
            "version": shared.__version__,
            "description": (
                "The topics of Attune: what shops put in, what tools of marketing subscribe to, "
                "and what passes between the services.\n\nDelivery is at least once: each "
                "message has an id to know a repetition by. A namespace setting puts "
                "`<namespace>.` before every address."
            ),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": dict(operation(topic) for topic in topics.ALL),
        "components": {
            "messages": {name: message_object(messages[name]) for name in sorted(messages)},
            "schemas": {
                **schemas.components(
                    [*FACT_TYPES.values(), Change, Decision, Trigger, Suppression]
                ),
                **schemas.input_schemas(FACT_TYPES),
            },
        },
    }


def identifier(topic: Topic) -> str:
    """The channel's name in the document: letters only."""
    head, *tail = topic.name.replace("-", ".").split(".")
    return head + "".join(part.capitalize() for part in tail)


def channel(topic: Topic) -> dict[str, Any]:
    """A topic as it stands on the broker, with the messages it carries."""
    kafka: dict[str, Any] = {
        "topic": topic.name,
        "topicConfiguration": {
            "cleanup.policy": [topic.cleanup],
            "retention.ms": topic.retention_ms,
            "max.message.bytes": topic.max_message_bytes,
        },
        "bindingVersion": KAFKA_BINDING,
    }
    if topic.partitions is not None:
        kafka["partitions"] = topic.partitions
    return {
        "address": topic.name,
        "title": topic.carries[0].upper() + topic.carries[1:],
        "description": f"Carries {topic.carries}. Record key: {topic.key}.",
        "messages": {
            message.name: {"$ref": f"#/components/messages/{message.name}"}
            for message in messages_of(topic)
        },
        "bindings": {"kafka": kafka},
    }


def operation(topic: Topic) -> tuple[str, dict[str, Any]]:
    """What Attune does with a topic as a whole: takes what shops put in, or puts it out itself."""
    name = identifier(topic)
    action = "send" if topic.name in SENT else "receive"
    return action + name[0].upper() + name[1:], {
        "action": action,
        "channel": {"$ref": f"#/channels/{name}"},
        "summary": f"Attune {action}s {topic.carries}.",
    }


def message_object(message: Message) -> dict[str, Any]:
    """A message with its headers, payload, key and examples."""
    return {
        "name": message.name,
        "title": message.title,
        "summary": message.summary,
        "contentType": message.content_type,
        "headers": {
            "type": "object",
            "properties": message.headers,
            "required": list(message.required_headers),
        },
        "payload": message.payload,
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": message.key},
                "bindingVersion": KAFKA_BINDING,
            }
        },
        "examples": [
            {"name": message.name, "headers": message.example_headers, "payload": example}
            for example in message.examples
        ],
    }
