"""The rules that a rebuild notes moments by: as they stand when it runs.

Each process of a rebuild reads them for itself, since conditions do not travel between processes.
"""

import logging
from pathlib import Path
from typing import NamedTuple

from services.profile.items.catalogue import Items
from services.profile.learned import Learned
from services.profile.moments.around import Around
from services.profile.moments.rules import Rules
from services.profile.scenarios.holding import SHIPPED, load
from shared.bus import scan, topic_id
from shared.errors import AttuneError
from shared.settings import Settings
from shared.topics import CATALOGUE

log = logging.getLogger(__name__)


class Standing(NamedTuple):
    """items: the catalogue, with its changes."""

    rules: Rules
    items: Items


async def standing_rules(settings: Settings) -> Standing:
    """Reads the book, the catalogue to its end, and what was learned.

    Raises BookRefused, LogUnavailable, UnknownTopic; works without a model.
    """
    book = load(Path(settings.scenarios) if settings.scenarios else SHIPPED)
    learned = Learned(settings.models)
    try:
        await learned.look()
    except AttuneError as error:
        log.warning("nothing learned is used", extra={"code": error.code})
    items = await read_items(settings)
    around = Around(
        items=items.items,
        zone=book.policy.zone,
        predict=learned.predict,
        refill_days=learned.refill_days,
    )
    return Standing(Rules(book, around), items)


async def read_items(settings: Settings) -> Items:
    """The catalogue as it stands now. Raises LogUnavailable, UnknownTopic."""
    topic = CATALOGUE.named(settings.namespace)
    items = Items()
    items.begin(await topic_id(settings, topic))
    # Compaction takes the topic's beginning away, and nothing is missing then.
    async for records in scan(settings, topic, complete=False):
        items.take(records)
    return items
