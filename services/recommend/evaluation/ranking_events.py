"""Events in Metarank's format, for `attune evaluate ranking`: items, rankings, interactions.

JSON lines, plain or gzip; fields are numbers, texts or lists of texts, whatever their names.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

from services.recommend.evaluation.text_files import open_text
from shared.catalogue import ItemChanged
from shared.errors import InvalidInput

Fields: TypeAlias = dict[str, Any]
MOST_EVENTS: Final = 5_000_000
CENTS: Final = 100
DEAREST: Final = 1e9
_ORDER: Final = {"item": 0, "ranking": 1, "interaction": 2}
_decoder = msgspec.json.Decoder()


@dataclass(frozen=True, slots=True)
class Event:
    """One event. kind: item, ranking or interaction; at: epoch ms; name: of the ranking (of an
    interaction the one it belongs to, empty for none); items: shown, in that order, or the one."""

    kind: str
    at: int
    name: str
    shopper: str
    items: tuple[str, ...]
    fields: Fields


def read_events(path: Path) -> list[Event]:
    """All events in order of time, at the same time what is shown before what is clicked.

    Raises InvalidInput with the line for what cannot be read, and where there is no ranking.
    """
    events: list[Event] = []
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        if len(events) == MOST_EVENTS:
            raise InvalidInput(f"{path}: more than {MOST_EVENTS:,} events")
        try:
            event = _event(_decoder.decode(line))
        except (msgspec.MsgspecError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise InvalidInput(f"{path}, line {number}: {_said(error)}") from None
        if event is not None:
            events.append(event)
    if not any(event.kind == "ranking" for event in events):
        raise InvalidInput(f"{path}: no ranking in it")
    return sorted(events, key=lambda event: (event.at, _ORDER[event.kind]))


def read_items(path: Path) -> dict[str, Fields]:
    """Fields by item: one object with an `id` or `item` a line, or a list of them."""
    text = "".join(_lines(path))
    try:
        if text.lstrip().startswith("["):
            found = _decoder.decode(text)
        else:
            found = [_decoder.decode(line) for line in text.splitlines() if line.strip()]
        items = {
            str(entry["item"] if "item" in entry else entry["id"]): {
                name: plain(value) for name, value in entry.items() if name not in ("item", "id")
            }
            for entry in found
        }
    except (msgspec.MsgspecError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(f"{path}: {_said(error)}") from None
    if not items:
        raise InvalidInput(f"{path}: no item in it")
    return items


def item_of(item: str, fields: Fields) -> ItemChanged:
    """An item as the catalogue takes it."""
    price, cents = fields.get("price"), None
    if isinstance(price, int | float) and not isinstance(price, bool) and 0 <= price < DEAREST:
        cents = round(price * CENTS)
    category, brand = _label(fields.get("category")), _label(fields.get("brand"))
    return ItemChanged(item=item, category=category, brand=brand, price=cents, fields=fields)


def _label(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def plain(value: object) -> object:
    """A field's value as the catalogue has them: of an object its name, of several theirs."""
    if isinstance(value, dict):
        return value.get("name")
    if isinstance(value, list):
        return [plain(entry) for entry in value]
    return value


def _event(raw: Any) -> Event | None:
    kind = raw["event"]
    if kind not in _ORDER:
        return None
    fields = {entry["name"]: plain(entry["value"]) for entry in raw.get("fields") or ()}
    if kind == "ranking":
        items = tuple(dict.fromkeys(_id(entry["id"]) for entry in raw["items"]))
        if not items:
            raise ValueError("a ranking without items")
    else:
        items = (_id(raw["item"]),)
    name = str(raw["id"] if kind == "ranking" else raw.get("ranking") or "")
    shopper = str(raw.get("user") or raw.get("session") or name)
    return Event(kind, int(raw["timestamp"]), name, shopper, items, fields)


def _id(value: object) -> str:
    if not isinstance(value, str | int) or not 0 < len(str(value)) <= 200:
        raise ValueError("an item without an id of 1 to 200 characters")
    return str(value)


def _said(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error)


def _lines(path: Path) -> Iterator[str]:
    with open_text(path) as text:
        yield from text


def merged(own: Fields, more: Iterable[Fields]) -> Fields:
    """An item's fields with further ones, of the same name its own."""
    fields = dict(own)
    for extra in more:
        fields = extra | fields
    return fields
