"""The catalogue as it stood while the log was written, as far as `catalogue` still tells. Pure."""

from collections.abc import Iterable
from operator import attrgetter

import msgspec

from services.profile.moments.around import ItemMoved
from shared import catalogue
from shared.catalogue import ItemChanged

_changed_at = attrgetter("changed_at")


def items_then(
    messages: Iterable[bytes], start: int
) -> tuple[dict[str, ItemChanged], list[ItemMoved]]:
    """The items as they stood at `start` (epoch ms), and their changes since, in order of time.

    What an item was before the earliest change that is still known nobody can tell: it stands as
    that change left it from the beginning, and that change begins no moment.
    """
    items: dict[str, ItemChanged] = {}
    moves: list[ItemMoved] = []
    newest: dict[str, ItemChanged] = {}
    for change in sorted(_items(messages), key=_changed_at):
        before = newest.get(change.item)
        newest[change.item] = change
        if before is None or change.changed_at < start:
            items[change.item] = change
        else:
            moves.append(ItemMoved(change, before))
    return items, moves


def items_now(messages: Iterable[bytes]) -> dict[str, ItemChanged]:
    """The items as they stand."""
    return {change.item: change for change in _items(messages)}


def _items(messages: Iterable[bytes]) -> Iterable[ItemChanged]:
    for message in messages:
        try:
            change = catalogue.decode(message)
        except (msgspec.MsgspecError, RecursionError):
            continue
        if isinstance(change, ItemChanged):
            yield change
