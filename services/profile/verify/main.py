"""`attune verify`: is the live state what the log says, and does everything add up?"""

import asyncio

import click
import msgspec
from tqdm import tqdm

from services.commands.output import Report, json_option
from services.profile.verify.check import Verification, verify, wait_until_drained
from shared.settings import Settings


@click.command()
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(0, 3600),
    default=30.0,
    show_default=True,
    help="Seconds to wait first until ingest and profile have read all there is.",
)
@json_option
def command(wait_s: float, as_json: bool) -> None:
    """Compare the live profiles with a replay of the log, and compute the balance.

    Exit 1 when a profile differs, an event is lost or applied twice, the balance is open, or facts
    that profiles state never reached the log.
    """
    settings = Settings.from_environment()
    with Report(
        "verify",
        as_json=as_json,
        settings={"namespace": settings.namespace, "wait_s": wait_s},
    ) as report:
        found = asyncio.run(_verify(settings, wait_s))
        report.add(**msgspec.structs.asdict(found))
        report.check("equal", found.different == 0)
        report.check("balanced", found.balanced)
        report.check("lost", found.lost == 0)
        report.check("applied_twice", found.applied_twice == 0)
        report.check("unpublished", found.unpublished == 0)


async def _verify(settings: Settings, wait_s: float) -> Verification:
    await wait_until_drained(settings, wait_s)
    with tqdm(desc="replaying the log", unit=" records", leave=False, disable=None) as bar:
        return await verify(settings, bar.update)
