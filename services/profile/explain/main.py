"""`attune scenarios explain`: what is near firing for a customer, and what holds it back."""

from contextlib import AsyncExitStack, suppress
from pathlib import Path

import click
import msgspec
import uvloop

from services.commands.output import Report, json_option
from services.profile.dry_run.items_then import items_now
from services.profile.dry_run.sources import catalogue_changes
from services.profile.explain.answer import Explained
from services.profile.explain.explaining import explain
from services.profile.explain.wording import words
from services.profile.identity import Identity
from services.profile.learned import Learned
from services.profile.moments.around import Around
from services.profile.scenarios.holding import SHIPPED, load
from services.profile.store import ProfileStore
from shared.errors import AttuneError, NotFound
from shared.events import customer_key
from shared.generation_store import GenerationStore
from shared.keys import Keys
from shared.settings import Settings
from shared.store import open_redis


@click.command()
@click.option("--customer", required=True, help="The customer's id, as the shop knows it.")
@json_option
def command(customer: str, as_json: bool) -> None:
    """What is near firing for a customer, and what holds each scenario back.

    Reads the live state, changes nothing. Prints of the customer only what decides: consents,
    messages so far, segments, and the variables that the scenarios read.

    Judges by the file that ATTUNE_SCENARIOS names in this terminal, or by the shipped one; the
    service's metric attune_profile_scenarios_info says by which version it goes itself.
    """
    settings = Settings.from_environment()
    with Report("scenarios explain", as_json=as_json, settings={}) as report:
        found = uvloop.run(_explain(settings, customer))
        keys = msgspec.structs.asdict(found)
        # As in a dry run: `version` is Attune's own.
        report.add(book=keys.pop("version"), **keys)
        report.text = words(found)


async def _explain(settings: Settings, customer: str) -> Explained:
    file = Path(settings.scenarios or SHIPPED)
    book = load(file)
    identity = await _load(settings, customer)
    learned = Learned(settings.models)
    with suppress(AttuneError):
        await learned.look()
    around = Around(
        items=items_now(await catalogue_changes(settings)),
        zone=book.policy.zone,
        predict=learned.predict,
        refill_days=learned.refill_days,
    )
    return explain(identity, book, around, settings.clock.now_ms(), str(file))


async def _load(settings: Settings, customer: str) -> Identity:
    key = customer_key(customer)
    async with AsyncExitStack() as stack:
        redis = await stack.enter_async_context(open_redis(settings))
        live = (await GenerationStore(redis, settings.namespace).read()).live
        if live is None:
            raise NotFound("there are no profiles yet: the profile service has never run here")
        keys = Keys(settings.namespace, live.token)
        found = (await ProfileStore(redis, keys, live.incarnation).load([key]))[key]
    if not found.positions:
        raise NotFound(f"no customer {customer!r} is known: nothing was heard of that id yet")
    return found
