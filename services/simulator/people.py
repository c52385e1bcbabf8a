"""Customers of the shop over months: what each is like, and how each takes a message. Pure, seeded.

The model behind `attune bench triggers`. What somebody does with a message follows from the seed,
the person, the message and the mood alone, so that other ways of choosing messages can be played
through the very same people. Who cares little opens little and is soonest fed up: messages close
together and at night annoy, and the annoyance of one is half forgotten after three days.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Final
from zoneinfo import ZoneInfo

from services.simulator.clock import DAY_MS, HOUR_MS, MINUTE_MS
from services.simulator.world import CATEGORIES, Effects

ZONES: Final = (
    "Europe/Berlin",
    "Europe/London",
    "Europe/Warsaw",
    "America/New_York",
    "America/Los_Angeles",
    "Asia/Tokyo",
    "Australia/Sydney",
)
CHANNELS: Final = ("email", "push", "sms", "onsite")
HALF_FORGOTTEN_MS: Final = 3 * DAY_MS
EVENING_HOUR: Final = 21
MORNING_HOUR: Final = 8
WOKEN: Final = 2.0
"""How much more a message at night annoys."""
CALM: Final = 0.3
"""What a message that nothing has annoyed before costs; the annoyance counts by its square."""
CLICKS_WHEN_OPENED: Final = 0.35
MOST: Final = 0.95
DEAD_ADDRESSES: Final = 0.01


@dataclass(frozen=True, slots=True)
class Person:
    """What a customer is like, for good.

    zone: None where the shop does not know it (then the shop's holds); opens: by channel; cares:
    how much messages of the shop interest at all, about 1; likes: category → weight; buys: chance
    that a full cart is bought; anonymous_first: comes unknown the first time; denies: channels
    that are refused from the start; birthday: month and day.
    """

    id: str
    zone: str | None
    visits_per_day: float
    buys: float
    cares: float
    opens: Mapping[str, float]
    likes: Mapping[str, float]
    denies: frozenset[str]
    birthday: tuple[int, int]
    anonymous_first: bool
    dead_address: bool


@dataclass(slots=True)
class Mood:
    """What messages have done to a person so far. rate: factor on the rate of visits; left: the
    channels unsubscribed from."""

    annoyance: float = 0.0
    annoyed_at: int = 0
    rate: float = 1.0
    left: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Message:
    """What reaches a person. at: business epoch ms; items: what it is about, best first."""

    id: str
    scenario: str
    channel: str
    at: int
    items: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reaction:
    """What becomes of a message, in business ms after it came; None: does not happen."""

    bounced: bool = False
    opened: int | None = None
    clicked: int | None = None
    unsubscribed: int | None = None
    comes_back: bool = False


def person_of(seed: int, number: int) -> Person:
    """Customer number so-and-so of a seed."""
    random = Random(f"person-{seed}-{number}")
    reads = {name: random.betavariate(2.0, 3.0) for name in CHANNELS}
    liked = random.sample(list(CATEGORIES), 3)
    return Person(
        id=f"customer-{number:05d}",
        zone=random.choice(ZONES) if random.random() < 0.9 else None,
        visits_per_day=random.gammavariate(2.0, 0.4),
        buys=random.betavariate(3.0, 4.0),
        cares=0.25 + 1.5 * random.betavariate(2.0, 2.0),
        opens=reads,
        likes=dict(zip(liked, (5.0, 3.0, 1.0), strict=True)),
        denies=frozenset(name for name in CHANNELS if random.random() < 0.08),
        birthday=(random.randint(1, 12), random.randint(1, 28)),
        anonymous_first=random.random() < 0.3,
        dead_address=random.random() < DEAD_ADDRESSES,
    )


def take(person: Person, mood: Mood, message: Message, effects: Effects, seed: int) -> Reaction:
    """How a person takes a message; changes the mood. Nothing comes of what was unsubscribed."""

    def chance(what: str) -> float:
        return draw(seed, person.id, message.id, what)

    if message.channel in mood.left:
        return Reaction()
    if person.dead_address and message.channel == "email":
        return Reaction(bounced=True)
    tired = annoyance(mood, message.at)
    interest = min(1.6, person.cares * liking(seed, person.id, message.scenario))
    woken = WOKEN if at_night(person, message.at) else 1.0
    mood.annoyance, mood.annoyed_at = tired + woken, message.at
    mood.rate *= effects.message_annoys
    fed_up = effects.unsubscribe * (CALM + tired**2) * woken * max(0.2, 2.0 - interest)
    if chance("unsubscribes") < min(MOST, fed_up):
        mood.left.add(message.channel)
        return Reaction(unsubscribed=int(MINUTE_MS * (2 + 28 * chance("when"))))
    if chance("opens") >= min(MOST, person.opens[message.channel] * interest / (1.0 + 0.3 * tired)):
        return Reaction()
    opened = int(HOUR_MS * (0.05 + 5 * chance("when") ** 3))
    if chance("clicks") >= min(MOST, CLICKS_WHEN_OPENED * interest):
        return Reaction(opened=opened)
    clicked = opened + int(MINUTE_MS * (0.5 + 4 * chance("reads")))
    comes_back = chance("returns") < effects.message_return
    return Reaction(opened=opened, clicked=clicked, comes_back=comes_back)


def annoyance(mood: Mood, at: int) -> float:
    """What is left of it by then."""
    age = max(0, at - mood.annoyed_at) / HALF_FORGOTTEN_MS
    return float(mood.annoyance * 0.5**age)


def at_night(person: Person, at: int) -> bool:
    """Whether it is between evening and morning where the person lives."""
    hour = datetime.fromtimestamp(at / 1000, ZoneInfo(person.zone or ZONES[0])).hour
    return hour >= EVENING_HOUR or hour < MORNING_HOUR


def liking(seed: int, person: str, scenario: str) -> float:
    """How much this person cares for messages of that kind, 0.4 to 1.4."""
    return 0.4 + draw(seed, person, scenario, "likes")


def draw(seed: int, *names: str) -> float:
    """A number in [0, 1) that follows from the seed and the names."""
    text = "/".join((str(seed), *names)).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=6).digest(), "big") / 2.0**48
