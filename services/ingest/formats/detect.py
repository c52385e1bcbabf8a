"""Which format a raw event is in: what its header says, else by its headers' and object's shape."""

from enum import StrEnum
from typing import Any, Final

from services.ingest.formats import cloudevents, native, segment
from services.ingest.formats.draft import Draft
from services.ingest.reasons import Reason, refuse
from shared.headers import FORMAT, Headers, find


class Format(StrEnum):
    """The formats that ingest reads."""

    NATIVE = "native"
    SEGMENT = "segment"
    CLOUDEVENTS = "cloudevents"


_BY_NAME: Final = {str(form): form for form in Format}


def detect(event: dict[str, Any], headers: Headers) -> Format:
    """The event's format. Raises EventRefused(unknown_format) where the stated one is unknown."""
    stated = find(headers, FORMAT)
    if stated is not None:
        form = _BY_NAME.get(stated)
        if form is None:
            raise refuse(Reason.UNKNOWN_FORMAT, "format: not native, segment or cloudevents")
        return form
    if cloudevents.is_binary(headers) or "specversion" in event:
        return Format.CLOUDEVENTS
    kind = event.get("type")
    if isinstance(kind, str) and kind in segment.CALLS:
        return Format.SEGMENT
    return Format.NATIVE


def read_draft(
    event: dict[str, Any], headers: Headers, form: Format, currency: str | None
) -> Draft:
    """What the format's adapter makes of the event. Raises EventRefused."""
    if form is Format.NATIVE:
        return native.read(event)
    if form is Format.SEGMENT:
        return segment.read(event, currency)
    if cloudevents.is_binary(headers):
        return cloudevents.read_binary(event, headers)
    return cloudevents.read_structured(event)
