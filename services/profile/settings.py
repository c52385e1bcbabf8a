"""Settings of the profile service, from `ATTUNE_PROFILE_*`."""

from dataclasses import dataclass, field

from shared.settings import FromEnvironment


@dataclass(frozen=True, slots=True)
class ProfileSettings(FromEnvironment):
    """port: health and metrics; cached: identities kept in memory, some 25 KB each; batch: facts
    taken at once.

    instance: this member's fixed name in its group, if it should keep its partitions over a
    restart (static membership).

    recommend: address of the recommend service (`http://host:port`), asked for the items of
    messages; without it they go without. recommend_key: a server key with the scope `recommend`.
    """

    prefix = "ATTUNE_PROFILE_"

    port: int = 9102
    cached: int = 5_000
    batch: int = 2_000
    instance: str = ""
    recommend: str = ""
    recommend_key: str = field(default="", repr=False)
