"""The reference: the log folded anew, one fact after another, by one thread, in memory. Pure.

It decides nothing and publishes nothing: the system's decisions are facts in the log it folds.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from services.profile.batch import read_delivery
from services.profile.identity import Identity, apply
from services.profile.verify.balance import Accounts
from services.profile.window import Verdict
from shared.headers import SRC, find

if TYPE_CHECKING:
    from shared.bus import Record


class Replay:
    """Folds the records of `events`, given in partition order, and keeps account of each `src`."""

    def __init__(self) -> None:
        self.identities: dict[str, Identity] = {}
        self.accounts = Accounts()
        self.facts = 0
        self.malformed = 0

    def feed(self, records: "Iterable[Record]") -> None:
        """Folds records of one partition, in log order."""
        for record in records:
            self._feed(record)

    def _feed(self, record: "Record") -> None:
        read = read_delivery(record)
        if read is None:
            self.malformed += 1
            return
        key, delivery = read
        self.facts += 1
        identity = self.identities.get(key)
        if identity is None:
            identity = self.identities[key] = Identity(key)
        verdict = apply(identity, delivery)
        identity.outbox.clear()
        source = find(record.headers, SRC)
        if source is not None:
            self.accounts.folded(source, applied=verdict is Verdict.NEW)
