"""Segment and RudderStack: track (e-commerce and email spec v2), identify, alias, page, screen.

Pure. `messageId` is the event id; `userId` and `anonymousId` say who. Amounts are decimals of
`currency` and become minor units. The names of track calls are mapped in `segment_names`.
"""

from typing import Any, Final

from services.ingest.formats.draft import Draft, object_or_none, public_context, required_kind
from services.ingest.formats.segment_fields import FIELDS
from services.ingest.formats.segment_names import kind_of
from services.ingest.reasons import Reason, refuse

CALLS: Final = frozenset({"track", "identify", "alias", "page", "screen", "group"})


def read(event: dict[str, Any], currency: str | None) -> Draft:
    """The draft of one call; `currency` is taken where the call names none. Raises EventRefused."""
    call = required_kind(event.get("type"))
    context = object_or_none(event.get("context"), "context")
    if call == "track":
        draft = _track(event, currency)
    elif call == "identify":
        traits = event.get("traits") or context.get("traits")
        draft = Draft("identified", None, fields={"traits": object_or_none(traits, "traits")})
    elif call in {"page", "screen"}:
        draft = _page(event, context)
    elif call == "alias":
        draft = Draft("identified", None, anonymous=event.get("previousId"))
    else:
        raise refuse(Reason.UNKNOWN_TYPE, "type: not track, identify, alias, page or screen")
    draft.format = "segment"
    draft.event_id = event.get("messageId")
    draft.customer = event.get("userId")
    if draft.anonymous is None:
        draft.anonymous = event.get("anonymousId")
    kept = public_context(context)
    if kept:
        draft.extra["context"] = kept
    _set_times(draft, event)
    return draft


def _set_times(draft: Draft, event: dict[str, Any]) -> None:
    """The client's own time where it is there; `timestamp` beside it is corrected already."""
    original, timestamp = event.get("originalTimestamp"), event.get("timestamp")
    if timestamp is not None and original is not None and event.get("receivedAt") is not None:
        draft.original, draft.settled = timestamp, True
        return
    draft.original = timestamp if original is None else original
    draft.sent = event.get("sentAt")


def _track(event: dict[str, Any], currency: str | None) -> Draft:
    name = event.get("event")
    if name is None or name == "":
        raise refuse(Reason.MISSING_FIELD, "event: missing")
    if not isinstance(name, str):
        raise refuse(Reason.INVALID_FIELD, "event: not a text")
    kind, fixed = kind_of(name)
    properties = dict(object_or_none(event.get("properties"), "properties"))
    fields = FIELDS[kind](properties, currency)
    return Draft(kind, None, fields={**fixed, **fields}, extra=properties)


def _page(event: dict[str, Any], context: dict[str, Any]) -> Draft:
    properties = dict(object_or_none(event.get("properties"), "properties"))
    page = object_or_none(context.get("page"), "context.page")
    name = event.get("name") or properties.pop("name", None) or properties.get("title")
    path = properties.pop("path", None) or page.get("path")
    return Draft("page_viewed", None, fields={"name": name, "path": path}, extra=properties)
