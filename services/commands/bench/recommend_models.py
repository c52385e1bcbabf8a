"""The models that `attune bench recommend` serves with: trained by what `attune train` trains with,
on the made-up shop's sessions, orders and rankings.

Two versions of the same content are kept, so that one can take the other's place under load.
"""

import math
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from services.commands.bench.recommend_data import CATEGORIES, Shop
from services.recommend.candidates.neighbour_weights import NeighbourSettings
from services.recommend.features import NAMES
from services.recommend.ranker.rankings import Logged, joined
from services.recommend.ranker.training import train_ranker
from services.recommend.training import baskets, sessions
from services.recommend.training.building import HistoryBuilder
from services.recommend.training.history import History, until
from services.recommend.training.training_run import LINEAR, OPTIONAL, TREES
from shared.clock import real_now_ms
from shared.events import AnyFact, ItemViewed, Line, Purchased, encode, identity_key
from shared.models.metadata import Metadata
from shared.models.part import Part
from shared.models.store import ModelStore
from shared.settings import Settings

VERSIONS: Final = ("bench-1", "bench-2")
SESSIONS: Final = 60_000
ORDERS: Final = 25_000
SHOPPERS: Final = 20_000
DAY_MS: Final = 86_400_000
DAYS: Final = 90
FITTED_DAYS: Final = 15
"""Of the sessions' days: those that vectors and similar items are fitted to."""
RANKINGS: Final = 3_000
SHOWN: Final = 20
TELLING: Final = 6
"""Features that simulated clicks depend on."""


class _Record(NamedTuple):
    """A record of `events`, as training reads it."""

    key: bytes
    value: bytes
    partition: int = 0
    offset: int = 0


def write_models(
    settings: Settings, shop: Shop, seed: int, say: Callable[[str], None]
) -> list[str]:
    """Train, keep both versions, put the first in force; the parts they have."""
    builder = HistoryBuilder(catalogue={item.item: item for item in shop.catalogue()})
    builder.read(
        _Record(identity_key(fact).encode(), encode(fact)) for fact in _facts(shop, real_now_ms())
    )
    history = builder.history()
    parts = _parts(history, seed, say)
    ranker = train_ranker(joined(list(_rankings(shop))), seed, say)
    if ranker is not None:
        parts[ranker.name] = ranker
    store = ModelStore.open(settings.models)
    for version in VERSIONS:
        metadata = Metadata(
            name=LINEAR if ranker is None else TREES,
            version=version,
            trained_at="2026-01-01T00:00:00Z",
        )
        store.save(metadata, history.items, parts)
    store.promote(VERSIONS[0], 0)
    return sorted(parts)


def _parts(history: History, seed: int, say: Callable[[str], None]) -> dict[str, Part]:
    """What is counted comes from all of the history, what is fitted from a part of it: that takes
    a minute less, and serving costs the same."""
    made = [sessions.train(history, NeighbourSettings()), baskets.train(history)]
    early = until(history, history.last - (DAYS - FITTED_DAYS) * DAY_MS)
    for name, trainer in OPTIONAL.items():
        say(f"training {name}")
        trained = trainer(early, seed, say)
        made.append(None if trained is None else trained.part())
    return {part.name: part for part in made if part is not None}


def promote(settings: Settings, version: str) -> None:
    """Put the other version in force."""
    ModelStore.open(settings.models).promote(version, real_now_ms())


def _facts(shop: Shop, now: int) -> Iterator[AnyFact]:
    """Visits of the last DAYS days, each in one category, and orders, oldest first."""
    random = shop.random
    for visit in range(SESSIONS):
        at = now - (SESSIONS - visit) * DAYS * DAY_MS // SESSIONS
        customer, category = f"customer-{random.randrange(SHOPPERS)}", random.randrange(CATEGORIES)
        for step in range(random.randint(2, 9)):
            yield ItemViewed(
                event_id=f"view-{visit}-{step}",
                occurred_at=at + step * 20_000,
                received_at=at + step * 20_000,
                customer=customer,
                item=shop.item(category),
            )
        if visit % SESSIONS < ORDERS:
            lines = [Line(item=shop.item(category)) for _ in range(random.randint(1, 6))]
            yield Purchased(
                event_id=f"order-{visit}",
                occurred_at=at + 300_000,
                received_at=at + 300_000,
                customer=customer,
                order=f"order-{visit}",
                lines=lines,
                total=1_000,
                currency="EUR",
            )


def _rankings(shop: Shop) -> Iterator[Logged]:
    """Rankings of drawn features, of which the first few decide what is clicked."""
    random = shop.random
    for number in range(RANKINGS):
        values = [[random.random() for _ in NAMES] for _ in range(SHOWN)]
        chances = [1 / (1 + math.exp(3 - sum(row[:TELLING]))) for row in values]
        clicked = [random.random() < chance for chance in chances]
        yield Logged(
            names=NAMES,
            values=values,
            clicked=clicked,
            converted=[click and random.random() < 0.1 for click in clicked],
            positions=range(1, SHOWN + 1),
            propensities=[1.0] * SHOWN,
            at=number,
        )
