"""Sending: the ledger never runs ahead of the log, and what it knows is not sent again."""

import pytest

from services.ingest.imports.ledger import Progress
from services.ingest.imports.raw import RawRecord
from services.ingest.imports.sending import BATCH, Sent, send_all
from shared.errors import DatabaseUnavailable, LogUnavailable
from shared.headers import Headers
from shared.topics import PURCHASES
from tests.fixtures.fake_bus import FakeLog

START = Progress()
HEADERS: Headers = (("source", b"import:m"),)


def records(count: int) -> list[RawRecord]:
    return [
        RawRecord(PURCHASES, b"c:%d" % number, b"{}", number, number * 10)
        for number in range(1, count + 1)
    ]


class Ledger:
    """Keeps what was saved; fails at the save of this number."""

    def __init__(self, log: FakeLog, fails_at: int = 0, before: int = 0) -> None:
        self.saved: list[Progress] = []
        self._log = log
        self._fails_at = fails_at
        self._before = before

    async def save(self, progress: Progress) -> None:
        if len(self.saved) + 1 == self._fails_at:
            raise DatabaseUnavailable("the database does not answer")
        assert len(self._log.records("ns.purchases")) + self._before >= progress.facts_done
        self.saved.append(progress)


async def run(log: FakeLog, ledger: Ledger, count: int, progress: Progress = START) -> Sent:
    async with log.producer() as producer:
        return await send_all(
            records(count), producer, "ns", lambda: HEADERS, progress, ledger.save
        )


async def test_all_is_sent_with_its_headers_and_its_progress() -> None:
    log = FakeLog()
    ledger = Ledger(log)
    sent = await run(log, ledger, BATCH + 3)
    written = log.records("ns.purchases")
    assert len(written) == len(sent.sources) == BATCH + 3
    assert {record.headers for record in written} == {HEADERS}
    assert f"ns.purchases/{written[0].partition}/0" in sent.sources
    assert [(entry.rows_done, entry.facts_done) for entry in ledger.saved] == [
        (BATCH, BATCH),
        (BATCH + 3, BATCH + 3),
    ]
    assert sent.progress.byte_position == (BATCH + 3) * 10


async def test_what_the_ledger_knows_is_not_sent_again() -> None:
    log = FakeLog()
    sent = await run(log, Ledger(log, before=7), 10, Progress(rows_done=7, facts_done=7))
    assert (sent.skipped, len(sent.sources)) == (7, 3)
    assert sent.progress.facts_done == 10


async def test_a_ledger_that_fails_sends_that_batch_again() -> None:
    log = FakeLog()
    ledger = Ledger(log, fails_at=2)
    with pytest.raises(DatabaseUnavailable):
        await run(log, ledger, 3 * BATCH)
    assert ledger.saved[-1].rows_done == BATCH
    sent = await run(log, Ledger(log), 3 * BATCH, ledger.saved[-1])
    assert (sent.skipped, len(sent.sources)) == (BATCH, 2 * BATCH)
    assert len(log.records("ns.purchases")) == 4 * BATCH


async def test_a_log_that_does_not_answer_leaves_the_ledger() -> None:
    log = FakeLog()
    ledger = Ledger(log)
    async with log.producer() as producer:
        log.down = True
        with pytest.raises(LogUnavailable):
            await send_all(records(3), producer, "ns", lambda: HEADERS, Progress(), ledger.save)
    assert ledger.saved == []
