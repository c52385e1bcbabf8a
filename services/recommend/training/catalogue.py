"""Items as they stand now, for training: the topic `catalogue` read through.

Beside rows.py. A model of an archive is trained without a broker, too: then without the catalogue.
"""

from services.recommend.catalogue.index import Catalogue
from shared.bus import scan
from shared.catalogue import ItemChanged
from shared.errors import LogUnavailable
from shared.settings import Settings
from shared.topics import CATALOGUE

WAIT_S = 2.0


async def read_catalogue(settings: Settings) -> dict[str, ItemChanged] | None:
    """Every item there is, by id; None where the log does not answer, or has no such topic."""
    catalogue = Catalogue()
    topic = CATALOGUE.named(settings.namespace)
    try:
        async for records in scan(settings, topic, complete=False, wait_s=WAIT_S):
            for record in records:
                catalogue.apply(record.key, record.value)
    except LogUnavailable:
        return None
    return catalogue.items()
