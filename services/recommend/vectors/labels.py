"""What an item is, as labels that vectors are learned for: so that an item nobody touched yet has
a vector by what it shares with others.

Read by training, and by Vectors.cover when the catalogue changes. Pure.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from shared.catalogue import ItemChanged

FEWEST_ITEMS: Final = 3
"""A label on fewer teaches nothing about another item: titles and exact numbers drop out."""
MOST_LABELS: Final = 3_000
MOST_VALUES: Final = 8
"""Values of one field that count."""


def labels_of(item: ItemChanged) -> list[str]:
    """The item's labels, `field=value` each, in one order; price by the octave of
    `shared.profile.price_band`."""
    labels = [] if item.category is None else [f"category={item.category}"]
    if item.brand is not None:
        labels.append(f"brand={item.brand}")
    if item.price is not None:
        labels.append(f"price_band={item.price.bit_length()}")
    for name, value in sorted(item.fields.items()):
        values = value if isinstance(value, list) else [value]
        labels += [f"{name}={text}" for text in _texts(values[:MOST_VALUES])]
    return list(dict.fromkeys(labels))


def _texts(values: Iterable[object]) -> Iterator[str]:
    for value in values:
        if isinstance(value, str | int | float):
            yield str(value)


def vocabulary(labelled: Iterable[Sequence[str]]) -> list[str]:
    """The labels worth a vector: on at least FEWEST_ITEMS items, the commonest MOST_LABELS of
    them, ascending; those that every item has say nothing and are left out."""
    counts: Counter[str] = Counter()
    items = 0
    for labels in labelled:
        counts.update(labels)
        items += 1
    common = [label for label, count in counts.items() if FEWEST_ITEMS <= count < items]
    return sorted(sorted(common, key=lambda label: (-counts[label], label))[:MOST_LABELS])
