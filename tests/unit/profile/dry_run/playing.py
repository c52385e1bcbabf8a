"""Logs in memory and drafts as text, for tests of the replay."""

from collections.abc import Sequence

from services.profile.dry_run.items_then import items_then
from services.profile.dry_run.playing import PartitionPlay, Replayed
from services.profile.dry_run.report import Window
from services.profile.moments.around import Around
from services.profile.scenarios.reading import read
from shared import events as facts
from shared.archive_rows import ArchivedRecord
from shared.topics import EVENTS
from tests.unit.profile.builders import DAY, NOW

WINDOW = Window(from_ms=NOW, until_ms=NOW + 30 * DAY)

POLICY = """
version: draft
zone: UTC
policy:
  budgets:
    - {messages: 1, window: 24h}
  purposes:
    marketing: {basis: consent}
"""
CART = """
  - name: cart_abandoned
    on: cart_added
    after: 1h
    life: 48h
    recheck: profile.cart_items > 0
    purpose: marketing
    channels: [email]
"""
BROWSE = """
  - name: browse_abandoned
    on: item_viewed
    after: 2h
    life: 24h
    purpose: marketing
    channels: [email]
"""
PRICE_DROP = """
  - name: price_drop
    on: {item_changed: [viewed]}
    when: item.drop_percent >= 10
    purpose: marketing
    channels: [push]
"""
WELCOME = """
  - name: regulars
    on: segment_entered
    purpose: marketing
    channels: [email]
"""
REGULARS = """
segments:
  - {name: regular, when: profile.orders >= 2}
"""


def draft(*scenarios: str, more: str = "") -> bytes:
    """A scenarios file of these."""
    return (POLICY + more + "scenarios:" + "".join(scenarios)).encode()


def log(*sequence: facts.Fact) -> list[ArchivedRecord]:
    """Records of a partition."""
    return [
        ArchivedRecord(
            EVENTS.name,
            0,
            offset,
            fact.received_at,
            facts.identity_key(fact).encode(),
            facts.encode(fact),
            (),
        )
        for offset, fact in enumerate(sequence)
    ]


def replayed(
    text: bytes,
    records: Sequence[ArchivedRecord],
    *,
    window: Window = WINDOW,
    changes: Sequence[bytes] = (),
    step: int = 0,
    assess_within_ms: int = 0,
) -> Replayed:
    """The replay of a partition against a draft; step: records fed at a time, 0 for all."""
    book = read(text, "draft.yaml")
    items, moves = items_then(changes, window.from_ms)
    around = Around(items=items, zone=book.policy.zone)
    play = PartitionPlay(0, book, around, window, moves, assess_within_ms=assess_within_ms)
    for start in range(0, len(records), step or len(records) or 1):
        play.feed(records[start : start + (step or len(records))])
    return play.finish()
