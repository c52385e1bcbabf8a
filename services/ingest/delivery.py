"""Steps 3 and 4 of the pipeline for one batch: send in log order, flush, know what has arrived.

`attempt` may be repeated after LogUnavailable: it goes on with what has not arrived yet. What the
log refuses for its size becomes a dead letter, and a dead letter that is refused for its size is
cut shorter, so that one event never keeps the others waiting.
"""

from collections.abc import Sequence

from services.ingest.decide import Decider, Outcome, shortened
from shared.bus import Acknowledgement, Producer, Record
from shared.errors import LogUnavailable, TooLarge

CUT = 4
"""A dead letter that is still too large keeps a fourth of what it had."""


class Delivery:
    """The outcomes of one batch on their way; `outcomes` is what was sent in the end."""

    def __init__(
        self,
        producer: Producer,
        decider: Decider,
        *,
        events_topic: str,
        dead_letters_topic: str,
        records: Sequence[Record],
        now: int,
    ) -> None:
        self._producer = producer
        self._decider = decider
        self._events_topic = events_topic
        self._dead_letters_topic = dead_letters_topic
        self._records = records
        self._now = now
        self._waiting = list(range(len(records)))
        self.outcomes = [decider.decide(record, now=now) for record in records]

    async def attempt(self) -> None:
        """Returns once everything has arrived. Raises LogUnavailable: repeat it."""
        sent: list[tuple[int, Acknowledgement]] = []
        try:
            for number in self._waiting:
                # Nothing may lie in the log before what has failed, as far as that is known.
                if self._producer.failed:
                    break
                sent += [(number, each) for each in await self._send(self.outcomes[number])]
            await self._producer.flush()
        except TooLarge:
            self._forget_arrived(sent)
            await self._one_by_one()
        except LogUnavailable:
            self._forget_arrived(sent)
            raise
        self._waiting.clear()

    async def _send(self, outcome: Outcome) -> list[Acknowledgement]:
        topic = self._events_topic if outcome.reason is None else self._dead_letters_topic
        send, value, headers = self._producer.send, outcome.value, outcome.headers
        return [await send(topic, value, key=key, headers=headers) for key in outcome.keys]

    def _forget_arrived(self, sent: Sequence[tuple[int, Acknowledgement]]) -> None:
        tried = {number for number, _ in sent}
        failed = {number for number, each in sent if not each.arrived}
        self._waiting = [n for n in self._waiting if n not in tried or n in failed]

    async def _one_by_one(self) -> None:
        """The log refuses batches: only a record that is refused alone is itself too large."""
        while self._waiting:
            number = self._waiting[0]
            try:
                await self._send(self.outcomes[number])
                await self._producer.flush()
            except TooLarge as error:
                self._shorten(number, error)
            else:
                del self._waiting[0]

    def _shorten(self, number: int, error: TooLarge) -> None:
        outcome = self.outcomes[number]
        if outcome.reason is None:
            self.outcomes[number] = self._decider.too_large(self._records[number], now=self._now)
        elif outcome.value:
            self.outcomes[number] = shortened(outcome, len(outcome.value) // CUT)
        else:
            raise LogUnavailable("the log refuses even an empty dead letter") from error
