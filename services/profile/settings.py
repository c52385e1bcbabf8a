"""Settings of the profile service, from `ATTUNE_PROFILE_*`."""

from dataclasses import dataclass

from shared.settings import FromEnvironment


@dataclass(frozen=True, slots=True)
class ProfileSettings(FromEnvironment):
    """port: health and metrics; cached: identities kept in memory, some 25 KB each; batch: facts
    taken at once.

    instance: this member's fixed name in its group, if it should keep its partitions over a
    restart (static membership).
    """

    prefix = "ATTUNE_PROFILE_"

    port: int = 9102
    cached: int = 5_000
    batch: int = 2_000
    instance: str = ""
