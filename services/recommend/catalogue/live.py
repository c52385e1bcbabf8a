"""Keeps the catalogue in memory level with the topic: read from its beginning, then followed.

Runs as a task of each recommend process. While the log does not answer, what is in memory stays
in force.
"""

import logging
from collections.abc import Sequence

from services.recommend.catalogue.index import Catalogue
from shared.bus import Record
from shared.catalogue_tail import CatalogueTail
from shared.settings import Settings

_logger = logging.getLogger(__name__)


class Follower(CatalogueTail):
    """Feeds a catalogue. `caught_up` is set once all that the topic held at start is in memory:
    before that a process is not ready."""

    def __init__(self, settings: Settings, catalogue: Catalogue) -> None:
        super().__init__(settings, self)
        self.catalogue = catalogue

    def begin(self, incarnation: str) -> None:
        """What is in memory stays: a topic made anew is filled again from SQL."""

    def take(self, records: Sequence[Record]) -> None:
        """Applies the next records."""
        for record in records:
            if not self.catalogue.apply(record.key, record.value):
                _logger.warning("catalogue record refused", extra={"offset": record.offset})
