"""Attune's own format: a fact's type and fields by their own names, money in minor units.

{"type": "item_viewed", "event_id": "…", "customer" or "anonymous": "…", "item": "…"} with
`occurred_at` (absent: when it was received), `sent_at` (corrects the client's clock) and `context`.
"""

from typing import Any, Final

from services.ingest.formats.draft import Draft, object_or_none, public_context, required_kind

_OURS: Final = frozenset({"received_at", "claimed_customer", "cause"})
"""Fields that only Attune states: an event that brings them is taken without them."""


def read(event: dict[str, Any]) -> Draft:
    """The draft of a native event. Raises EventRefused."""
    fields = {name: value for name, value in event.items() if name not in _OURS}
    kind = required_kind(fields.pop("type", None))
    context = object_or_none(fields.pop("context", None), "context")
    source = fields.pop("source", None)
    draft = Draft(
        kind=kind,
        event_id=fields.pop("event_id", None),
        customer=fields.pop("customer", None),
        anonymous=fields.pop("anonymous", None),
        original=fields.pop("occurred_at", None),
        sent=fields.pop("sent_at", None),
        source=source if isinstance(source, str) else None,
        fields=fields,
    )
    if context:
        draft.extra["context"] = public_context(context)
    return draft
