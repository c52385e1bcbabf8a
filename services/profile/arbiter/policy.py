"""What a shop allows itself: budgets, quiet hours, holdouts. Read from scenarios.yaml. Pure."""

from collections.abc import Collection
from typing import Final

from msgspec import Struct

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
DAY_MINUTES: Final = 24 * 60


class Budget(Struct, frozen=True, kw_only=True):
    """At most `messages` in any `window_ms` that ends now: of one channel, of one tag, or overall.

    A window rolls: 23:00 and 00:00 lie an hour apart, whatever the calendar says.
    """

    messages: int
    window_ms: int
    channel: str | None = None
    tag: str | None = None

    def covers(self, channel: str, tags: Collection[str]) -> bool:
        """Whether a message counts against this budget."""
        return (self.channel is None or self.channel == channel) and (
            self.tag is None or self.tag in tags
        )


class QuietHours(Struct, frozen=True, kw_only=True):
    """From `begin` to `end`, minutes of the customer's local day; over midnight where end <
    begin, none where they are equal.

    channels: those that keep quiet, empty for all.
    """

    begin: int
    end: int
    channels: frozenset[str] = frozenset()


class Basis(Struct, frozen=True, kw_only=True):
    """What the law lets a purpose rest on. consent: needs a grant where `opt_in`, else allowed
    until denied; otherwise (a contract, a legal duty) consent is not asked."""

    name: str
    consent: bool = True
    opt_in: bool = False


UNLISTED: Final = Basis(name="consent")
"""What a purpose rests on that the policy does not name."""


class Holdout(Struct, frozen=True, kw_only=True):
    """A share of customers who get nothing, so that what messages do can be measured."""

    share: float = 0.0
    salt: str = ""


class Policy(Struct, frozen=True, kw_only=True):
    """All that holds for every scenario. scenario_holdouts: by scenario, beside the global one;
    transactional: purposes that pass budgets and holdouts, but count."""

    budgets: tuple[Budget, ...] = ()
    quiet: QuietHours | None = None
    bases: dict[str, Basis] = {}
    holdout: Holdout = Holdout()
    scenario_holdouts: dict[str, Holdout] = {}
    transactional: frozenset[str] = frozenset()
    zone: str = "UTC"
    annoyance: int = 0
    """What a message costs in goodwill, minor units, before what is known of the customer."""
    lost_customer: int = 0
    """What an unsubscribe costs, minor units."""

    def basis_of(self, purpose: str) -> Basis:
        """What the law lets it rest on."""
        return self.bases.get(purpose, UNLISTED)
