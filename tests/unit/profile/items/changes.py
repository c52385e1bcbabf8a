"""Records of the topic `catalogue`."""

from dataclasses import dataclass

from shared import catalogue
from shared.catalogue import ItemChanged
from shared.headers import Headers
from tests.unit.profile.builders import NOW


@dataclass
class Written:
    """A record of the topic."""

    offset: int
    key: bytes
    value: bytes | None
    timestamp: int = NOW
    topic: str = "catalogue"
    partition: int = 0
    headers: Headers = ()


def changed(offset: int, item: str, **fields: object) -> Written:
    """An item as it stands from that offset on."""
    change = ItemChanged(item=item, **{"changed_at": NOW + offset, **fields})
    return Written(offset, f"item:{item}".encode(), catalogue.encode(change))
