"""What an administrator sends becomes a change, or a message that says which field is wrong.

Does no I/O. Single requests, bulk lines and CSV rows share it, so all refuse the same things.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from msgspec import structs

from services.recommend.catalogue.kinds import ITEMS, Kind
from shared.catalogue import Change, ItemChanged, OfferChanged, encode
from shared.errors import InvalidInput

TIMES: Final = ("valid_from", "valid_to")
MOST_BYTES: Final = 65_536
"""What a change may measure as JSON: every process keeps all of them in memory."""
FIELD_PREFIX: Final = "fields."
_COUNTRY: Final = re.compile("[A-Z]{2}")
"""As a request names its shopper's."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def change_from(
    kind: Kind, given: object, *, now: int, id_: str | None = None, lax: bool = False
) -> Change:
    """The change that was sent. `id_`: the id of the address, which the body need not repeat.

    `lax` also takes numbers and booleans written as text, as CSV does. Raises InvalidInput, which
    names the field.
    """
    values = _object(given)
    _refuse_unknown(kind, values)
    if id_ is not None and values.setdefault(kind.name, id_) != id_:
        raise InvalidInput(f"the body's {kind.name} is not the one in the address")
    for name in TIMES:
        if isinstance(values.get(name), str):
            values[name] = _time(name, values[name])
    try:
        change = msgspec.convert(values, kind.model, strict=not lax)
    except msgspec.ValidationError as error:
        raise InvalidInput(str(error)) from None
    change = structs.replace(change, changed_at=now)
    _check(kind, change)
    return change


def revised(kind: Kind, change: Change, given: object, *, now: int) -> Change:
    """The change with the given fields replaced; a null clears. Raises InvalidInput."""
    values = _object(given)
    if not values:
        raise InvalidInput("the body names no field to change")
    merged = {name: getattr(change, name) for name in kind.settable} | values
    return change_from(kind, merged, now=now, id_=kind.id_of(change))


def item_from_cells(cells: Mapping[str, str], *, now: int) -> Change:
    """An item out of a CSV row, by column: an empty cell leaves the default, `countries` are
    joined by `|`, and `fields.x` is the attribute x. Raises InvalidInput."""
    values: dict[str, Any] = {}
    fields: dict[str, str] = {}
    for name, cell in cells.items():
        text = cell.strip()
        if not text:
            continue
        if name.startswith(FIELD_PREFIX):
            fields[name.removeprefix(FIELD_PREFIX)] = text
        elif name == "countries":
            values[name] = [country.strip() for country in text.split("|")]
        elif name in TIMES and text.isdigit():
            values[name] = int(text)
        else:
            values[name] = text
    if fields:
        values["fields"] = fields
    return change_from(ITEMS, values, now=now, lax=True)


def refuse_columns(names: list[str]) -> None:
    """Raises InvalidInput where a CSV header names no item, a column twice or an unknown one."""
    unknown = sorted(
        name
        for name in names
        if name not in ITEMS.settable - {"fields"} and not name.startswith(FIELD_PREFIX)
    )
    if unknown:
        raise InvalidInput(f"unknown columns: {', '.join(map(repr, unknown[:10]))}")
    if "item" not in names:
        raise InvalidInput("the header has no column 'item'")
    if len(set(names)) < len(names):
        raise InvalidInput("the header names a column twice")


def _object(given: object) -> dict[str, Any]:
    if not isinstance(given, Mapping):
        raise InvalidInput("an object of fields is expected")
    return dict(given)


def _refuse_unknown(kind: Kind, values: dict[str, Any]) -> None:
    # What GET answers may be sent back as it is; when it was changed is ours to say.
    values.pop("changed_at", None)
    unknown = sorted(repr(name) for name in values.keys() - kind.settable)
    if unknown:
        raise InvalidInput(f"unknown fields: {', '.join(unknown[:10])}")


def _time(name: str, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(f"{name}: epoch milliseconds or an ISO 8601 time") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)


def _check(kind: Kind, change: Change) -> None:
    if _CONTROL.search(kind.id_of(change)):
        raise InvalidInput(f"{kind.name}: control characters are not allowed")
    if isinstance(change, ItemChanged):
        if change.price is not None and change.currency is None:
            raise InvalidInput("currency: a price needs one")
        for country in change.countries:
            if not _COUNTRY.fullmatch(country):
                raise InvalidInput(f"countries: {country!r} is not two capital letters")
        texts = (change.title, change.category, change.brand, *change.countries)
        if any(text is not None and "\0" in text for text in texts):
            raise InvalidInput("text must not contain the character U+0000")
    if isinstance(change, ItemChanged | OfferChanged):
        begins, ends = change.valid_from, change.valid_to
        if begins is not None and ends is not None and begins >= ends:
            raise InvalidInput("valid_to: it must be later than valid_from")
    try:
        size = len(encode(change))
    except (OverflowError, UnicodeEncodeError, RecursionError, ValueError):
        raise InvalidInput("a value in fields cannot be written as JSON") from None
    if size > MOST_BYTES:
        raise InvalidInput(f"{size} bytes, and at most {MOST_BYTES} are allowed")
