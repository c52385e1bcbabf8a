"""Which arm a shopper is in: personalised, or the random holdout it is measured against."""

import hashlib
from collections.abc import Callable, Iterator

from services.recommend.arrays import Numbers
from shared.decisions import Arm


def arm_of(identity: str, salt: str, random_share: float) -> Arm:
    """The arm of an identity: always the same for the same salt and share, and a larger share
    moves nobody out of the random arm."""
    if random_share <= 0.0:
        return "personalised"
    digest = hashlib.blake2b(identity.encode(), key=salt.encode()[:64], digest_size=8).digest()
    drawn = int.from_bytes(digest, "big") / 2**64
    return "random" if drawn < random_share else "personalised"


def draw_items(
    eligible: Numbers, withheld: frozenset[int], n: int, seed: str, takes: Callable[[int], bool]
) -> list[int]:
    """n rows, uniformly among the eligible ones that are not withheld and, each in its turn, that
    the answer takes, in random order.

    The seed (the decision's id) decides all: the draw can be repeated. Fewer than n where there
    are fewer.
    """
    left = len(eligible)
    moved: dict[int, int] = {}
    drawn: list[int] = []
    draws = _draws(seed)
    while left and len(drawn) < n:
        # one step of Fisher and Yates' shuffle, which touches only what it draws
        place = next(draws) % left
        left -= 1
        row = int(eligible[moved.get(place, place)])
        moved[place] = moved.get(left, left)
        if row not in withheld and takes(row):
            drawn.append(row)
    return drawn


def _draws(seed: str) -> Iterator[int]:
    """64-bit numbers that follow from the seed; % of a catalogue's size is even to 1 in 10^12."""
    counter = 0
    while True:
        digest = hashlib.blake2b(f"{seed}/{counter}".encode(), digest_size=64).digest()
        for start in range(0, 64, 8):
            yield int.from_bytes(digest[start : start + 8], "big")
        counter += 1
