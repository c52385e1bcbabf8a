"""`attune replay dead-letters`: puts refused events back onto their raw topic after a fix.

Reads the logs through, once for the plan and once for the letters (only their positions are kept
in memory), sends, flushes. Each refused event goes back at most once for its newest attempt; were
it sent twice after all, because a run was cut off, its event id makes it apply once.
"""

import asyncio
import sys
from pathlib import Path
from typing import NoReturn

import click
from tqdm import tqdm

from services.commands.output import Report, json_option
from services.ingest.reasons import Reason
from services.ingest.replay_plan import Choice, Plan, read_repaired, to_raw
from shared.bus import Producer, scan
from shared.errors import InvalidInput
from shared.settings import Settings
from shared.topics import DEAD_LETTERS, RAW

_FLUSH_EVERY = 2_000


@click.group()
def command() -> None:
    """Put events back that were refused, after a fix."""


@command.command("dead-letters")
@click.option(
    "--reason",
    "reasons",
    multiple=True,
    type=click.Choice([str(reason) for reason in Reason]),
    help="Only events refused for this reason; repeat for several.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Put back at most this many.")
@click.option(
    "--repaired",
    type=click.Path(dir_okay=False, path_type=Path),
    help='JSON lines {"src": "topic/partition/offset", "value": {...}}: put back these events '
    "alone, with these values in place of the refused ones.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be put back, and send nothing.")
@json_option
def dead_letters(
    reasons: tuple[str, ...],
    limit: int | None,
    repaired: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Put dead letters back onto the raw topic they came from.

    Ingest then reads them again, with their original position, keys' rights and time of receipt.
    An event goes back once for each time it was refused, and applies once however often it is
    replayed.
    """
    settings = Settings.from_environment()
    chosen = {"bootstrap": settings.bootstrap, "reasons": list(reasons), "limit": limit}
    chosen |= {"repaired": repaired is not None, "dry_run": dry_run}
    with Report("replay dead-letters", as_json=as_json, settings=chosen) as report:
        mended = None if repaired is None else _read(repaired)
        plan = Plan(raw_topics(settings), frozenset(reasons), mended, limit)
        choice, replayed = asyncio.run(replay(settings, plan, dry_run=dry_run))
        report.add(
            found=choice.found,
            chosen=len(choice.letters),
            replayed=replayed,
            reasons=dict(choice.reasons),
            skipped=dict(choice.skipped),
            unmatched=choice.unmatched,
        )
        report.check("unmatched", not choice.unmatched)


def _read(path: Path) -> dict[str, bytes]:
    try:
        with path.open("rb") as lines:
            return read_repaired(lines)
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror}") from error


def raw_topics(settings: Settings) -> frozenset[str]:
    """Where dead letters may go back to."""
    return frozenset(topic.named(settings.namespace) for topic in RAW)


async def replay(settings: Settings, plan: Plan, *, dry_run: bool = False) -> tuple[Choice, int]:
    """What was chosen, and how many were sent. Raises LogUnavailable.

    Topics are read as they stand at the call; what ingest refuses meanwhile is for the next run.
    """
    letters_topic = DEAD_LETTERS.named(settings.namespace)
    with _progress("raw events read") as bar:
        for topic in sorted(plan.topics):
            async for records in scan(settings, topic, complete=False):
                for record in records:
                    plan.see_raw(record)
                bar.update(len(records))
    with _progress("dead letters read") as bar:
        async for records in scan(settings, letters_topic, complete=False):
            for record in records:
                plan.see_letter(record)
            bar.update(len(records))
    choice = plan.choose()
    if dry_run or not choice.letters:
        return choice, 0
    return choice, await _send(settings, plan, choice, letters_topic)


async def _send(settings: Settings, plan: Plan, choice: Choice, letters_topic: str) -> int:
    sent = 0
    async with Producer.open(settings) as producer:
        with _progress("dead letters put back", len(choice.letters)) as bar:
            async for records in scan(settings, letters_topic, complete=False):
                for record in records:
                    if (record.partition, record.offset) not in choice.letters:
                        continue
                    raw = to_raw(record, plan.mended)
                    await producer.send(raw.topic, raw.value, key=raw.key, headers=raw.headers)
                    sent += 1
                    if sent % _FLUSH_EVERY == 0:
                        await producer.flush()
                    bar.update()
            await producer.flush()
    return sent


def _progress(what: str, total: int | None = None) -> "tqdm[NoReturn]":
    """A bar on standard error, where that is a terminal."""
    return tqdm(desc=what, total=total, file=sys.stderr, disable=None, leave=False)
