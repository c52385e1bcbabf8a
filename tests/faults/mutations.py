"""The guards, and how each is taken away in a process that runs for the harness only.

`scenarios` has, for each, what goes wrong without it and goes well with it.
"""

import time
import uuid
from collections.abc import Callable
from typing import Any, Final

from tests.faults.patching import replace, wrap


def no_position() -> None:
    """A record that was folded before is folded again, unless its event id is remembered."""
    from services.profile import batch

    original = batch.apply

    def apply(identity: Any, delivery: Any) -> Any:
        identity.positions.clear()
        return original(identity, delivery)

    replace(batch, "apply", apply)


def no_window() -> None:
    """No event id is ever remembered."""
    from services.profile.window import Verdict, Window

    replace(Window, "judge", lambda self, mark, offset: Verdict.NEW)


def random_trigger_ids() -> None:
    """A decision that is made again gets another id."""
    from services.profile.moments import deciding

    replace(deciding, "trigger_id", lambda identity, moment: uuid.uuid4().hex)


def no_compare_and_set() -> None:
    """A profile is overwritten, whoever wrote it meanwhile."""
    from services.profile import store

    without = store.SAVE.replace("if n ~= ARGV[1] then return 0 end", "")
    if without == store.SAVE:
        raise AssertionError("the script has changed: this takes nothing away")
    replace(store, "SAVE", without)


def committed_at_once() -> None:
    """Offsets are committed as soon as their records are read."""
    from services.profile.worker import Worker

    async def turn(original: Any, self: Any, consumer: Any, records: Any) -> None:
        ends = {part: batch[-1].offset + 1 for part, batch in self._mine(records).items()}
        await consumer.commit(ends, self._following.generation.token)
        await original(self, consumer, records)

    wrap(Worker, "_turn", turn)


def committed_before_publishing() -> None:
    """Offsets are committed once profiles are written, before what follows from them is sent."""
    from services.profile.applying import Applier
    from services.profile.worker import Worker

    commits: list[Any] = []

    async def turn(original: Any, self: Any, consumer: Any, records: Any) -> None:
        ends = {part: batch[-1].offset + 1 for part, batch in self._mine(records).items()}
        commits[:] = [lambda: consumer.commit(ends, self._following.generation.token)]
        await original(self, consumer, records)

    async def publish(original: Any, self: Any, *arguments: Any) -> Any:
        await commits[0]()
        return await original(self, *arguments)

    wrap(Worker, "_turn", turn)
    wrap(Applier, "_publish", publish)


def not_durable() -> None:
    """Offsets are committed as soon as Redis has acknowledged their writes."""
    from services.profile.store_keeping import Keeping

    async def until(original: Any, self: Any) -> float:
        await original(self)
        return time.monotonic()

    wrap(Keeping, "until", until)


def no_server_watch() -> None:
    """A Redis that restarted is taken for the one that was written to."""
    from shared.store import ServerWatch

    replace(ServerWatch, "compare", lambda self, server, identity: None)


def outbox_elsewhere() -> None:
    """A profile is written first, and what must follow from it later."""
    _written_without("outbox")


def _written_without(field: str) -> None:
    from services.profile.store import ProfileStore

    async def save(original: Any, self: Any, identities: Any) -> Any:
        kept = [getattr(identity, field) for identity in identities]
        for identity in identities:
            setattr(identity, field, [])
        refused = await original(self, identities)
        for identity, value in zip(identities, kept, strict=True):
            setattr(identity, field, value)
        return refused

    wrap(ProfileStore, "save", save)
    wrap(ProfileStore, "save_beside", save)


def last_word_too() -> None:
    """Every decision in the log is published, also one whose id was decided before."""
    from services.profile import batch

    replace(batch, "is_first_word", lambda identity, delivery, verdict: True)


def no_drain() -> None:
    """Partitions are let go while what was sent from them is not committed."""
    from services.ingest.pipeline import Pipeline

    async def drain(original: Any, self: Any, revoked: Any) -> None:
        """Neither waits nor commits."""

    wrap(Pipeline, "drain", drain)


def any_incarnation() -> None:
    """A topic made anew is taken for the one that was folded."""
    from services.profile import following
    from services.profile.store import ProfileStore

    replace(following, "refuse_other_log", lambda generation, shape: None)
    replace(ProfileStore, "_refuse_other", lambda self, incarnation: None)


def any_backup() -> None:
    """A Redis that was put back to an older state is taken for the one that was written to."""
    from services.profile import following

    replace(following, "refuse_loss", lambda partition, start, known: None)


def no_absorption_guard() -> None:
    """What a visitor did is added again once its event id is forgotten."""
    from services.profile import identity
    from services.profile.window import Verdict

    replace(identity, "judge_part", lambda profile, fact: Verdict.NEW)


def no_source() -> None:
    """Facts do not say which raw event they were made of."""
    import dataclasses

    from services.ingest.decide import Decider
    from shared.headers import SRC

    original = Decider.decide

    def decide(self: Any, record: Any, *, now: int) -> Any:
        outcome = original(self, record, now=now)
        headers = tuple(header for header in outcome.headers if header[0] != SRC)
        return dataclasses.replace(outcome, headers=headers)

    replace(Decider, "decide", decide)


def dead_letters_afterwards() -> None:
    """Dead letters are sent once the offsets of their batch are committed."""
    from services.ingest.delivery import Delivery
    from services.ingest.pipeline import Pipeline

    held: list[tuple[Any, Any]] = []
    sending = Delivery._send

    async def send(original: Any, self: Any, outcome: Any) -> Any:
        if outcome.reason is None:
            return await original(self, outcome)
        held.append((self, outcome))
        return []

    async def commit(original: Any, self: Any) -> None:
        await original(self)
        while held and not self._sent:
            await sending(*held.pop())

    wrap(Delivery, "_send", send)
    wrap(Pipeline, "commit", commit)


def ingest_commits_first() -> None:
    """Raw events are committed before their facts are in the log."""
    from services.ingest.pipeline import Pipeline

    async def process(original: Any, self: Any, batch: Any) -> None:
        self._sent |= {part: records[-1].offset + 1 for part, records in batch.items()}
        await self.commit()
        await original(self, batch)

    wrap(Pipeline, "process", process)


def imports_decide() -> None:
    """An imported fact is taken for one that just happened."""
    from shared import events

    replace(events, "is_imported", lambda fact: False)


def read_again_after_a_rebuild() -> None:
    """After a rebuild, live workers read the log from its beginning."""
    from services.profile.rebuild.catching_up import CatchingUp

    replace(CatchingUp, "starts", lambda self, ends, commits: dict.fromkeys(ends, 0))


def timers_at_once() -> None:
    """Timers fire before the log was read to its end."""
    from shared.bus import GroupConsumer

    replace(GroupConsumer, "caught_up", GroupConsumer.assigned)


def items_without_position() -> None:
    """What was counted of an item is counted again when it is read again."""
    from services.profile.applying import Applier
    from services.profile.batch import item_increments
    from services.profile.store_values import ItemBatch

    async def count_items(self: Any, ends: Any, decoded: Any, effects: Any) -> None:
        standing = await self._store.item_positions(list(ends))
        added = item_increments(decoded.deliveries, effects, {})
        await self._store.count_items(
            [
                ItemBatch(part, standing[part], end, added.get(part, {}))
                for part, end in ends.items()
            ]
        )

    replace(Applier, "_count_items", count_items)


def moments_elsewhere() -> None:
    """A profile is written first, and which moments wait for it later."""
    _written_without("waiting")


def taken_away_first() -> None:
    """A moment that is decided is taken away in one write, and its verdict stated in another."""
    from services.profile.timer_loop import TimerLoop

    async def state(original: Any, self: Any, firing: Any, *arguments: Any) -> Any:
        decided = [each.identity for each in firing if each.fired.decisions.made]
        for identity in decided:
            identity.waiting = []
        await self._store.save(decided)
        return await original(self, firing, *arguments)

    wrap(TimerLoop, "_state", state)


def no_verdict_marks() -> None:
    """Only the event-id window knows which verdicts were folded."""
    from services.profile.contact import Contact

    replace(Contact, "knows", lambda self, mark: False)
    replace(Contact, "has_sent", lambda self, trigger_id: False)


GUARDS: Final[dict[str, Callable[[], None]]] = {
    "position": no_position,
    "event_id_window": no_window,
    "deterministic_trigger_ids": random_trigger_ids,
    "compare_and_set": no_compare_and_set,
    "commit_after_apply": committed_at_once,
    "commit_after_publish": committed_before_publishing,
    "commit_what_is_durable": not_durable,
    "server_watch": no_server_watch,
    "outbox_in_the_same_write": outbox_elsewhere,
    "first_fact_wins": last_word_too,
    "drain_on_revoke": no_drain,
    "incarnation": any_incarnation,
    "committed_is_in_the_store": any_backup,
    "absorbed_watermark": no_absorption_guard,
    "source_in_the_balance": no_source,
    "dead_letter_before_commit": dead_letters_afterwards,
    "ingest_commits_what_is_sent": ingest_commits_first,
    "imports_decide_nothing": imports_decide,
    "replay_publishes_nothing": read_again_after_a_rebuild,
    "timers_wait_for_the_log": timers_at_once,
    "item_positions": items_without_position,
    "moments_in_the_same_write": moments_elsewhere,
    "verdict_in_the_same_write": taken_away_first,
    "verdict_marks": no_verdict_marks,
}
"""Guard → what takes it away."""
