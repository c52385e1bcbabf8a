"""`attune bench triggers`: what is said to customers over simulated days, checked from outside.

The full path runs on an accelerated clock (`triggers_run`); a checker that reads the topics alone
looks for what should not have been said (`triggers_checker`); revenue is compared with the holdout
and unsubscribes with a calendar cap (`triggers_statistics`, `triggers_calendar`). Timers have a
part of their own in real time (`triggers_timers`).
"""

import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
import msgspec
import uvloop

from services.commands.bench.triggers_arbitrate import time_decisions
from services.commands.bench.triggers_calendar import people_of, with_volume
from services.commands.bench.triggers_checker import BROKEN, Findings, check
from services.commands.bench.triggers_record import Gathered
from services.commands.bench.triggers_rules import Rules, read_rules
from services.commands.bench.triggers_run import Simulated, gather, scenarios_of, simulate
from services.commands.bench.triggers_statistics import (
    counted,
    falls,
    incremental_revenue,
    moments_of,
    moments_per_week,
    rises,
    volume_per_week,
    whole_weeks,
)
from services.commands.bench.triggers_timers import PENDING, time_timers
from services.commands.output import Report, json_option
from services.local.servers import Servers, best_servers
from services.local.system import private_settings
from services.profile.scenarios.holding import SHIPPED
from services.simulator.clock import DAY_MS
from services.simulator.topic_reader import read_again
from services.simulator.world import WORLDS
from shared.clock import Clock, real_now_ms
from shared.errors import Unavailable

OPENING: Final = 1_772_323_200_000
"""2026-03-01 00:00 UTC: within sixty days America, Europe and Australia change their clocks."""
ZONE: Final = "Europe/Berlin"
SECONDS_A_DAY: Final = 24.0
BOUND_DECISIONS: Final = 100_000
BOUND_DAYS: Final = 60
BOUND_ARBITRATE_US: Final = 50.0
BOUND_LATE_MS: Final = 1_000.0
SAME_VOLUME: Final = 1.02
"""So much more a calendar cap may send and still be called of the same volume."""


@click.command()
@click.option("--days", type=click.FloatRange(1, 90), default=BOUND_DAYS, show_default=True)
@click.option("--customers", type=click.IntRange(50, 50_000), default=2_500, show_default=True)
@click.option("--world", type=click.Choice(sorted(WORLDS)), default="default", show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@json_option
def command(days: float, customers: int, world: str, seed: int, as_json: bool) -> None:
    """Messages to simulated customers over simulated days, and timers in real time.

    Exit 1 when anything was said that should not have been, when fewer than 100,000 decisions were
    made in 60 days, when a decision was not told, when one costs 50 microseconds (in the mean or
    the median), when timers are over a second late, or when a world does not show what it must
    (default: fewer unsubscribes than under a calendar cap of the same volume; null: no revenue;
    hostile: the volume falls week by week).
    """
    options = {"days": days, "customers": customers, "world": world}
    with (
        Report("bench triggers", as_json=as_json, seed=seed, settings=options) as report,
        tempfile.TemporaryDirectory(prefix="attune-bench-") as name,
    ):
        folder = Path(name)
        clock = Clock(real_now_ms(), OPENING, DAY_MS / 1000 / SECONDS_A_DAY)
        text = scenarios_of(SHIPPED.read_text(), ZONE)
        scenarios = folder / "scenarios.yaml"
        scenarios.write_text(text)
        report.say("starting the log, the store and the services")
        with best_servers(folder, private_settings(folder, clock)) as servers:
            report.machine(broker=servers.broker, store=servers.store)
            rules = read_rules(text)
            live = uvloop.run(_measure(report, servers, folder, scenarios, rules, options, seed))
        _conclude(report, days, world, *live)


async def _measure(
    report: Report,
    servers: Servers,
    folder: Path,
    scenarios: Path,
    rules: Rules,
    options: dict[str, Any],
    seed: int,
) -> tuple[Simulated, Gathered, Findings]:
    simulated = await simulate(servers, folder, scenarios, **options, seed=seed, say=report.say)
    report.say("reading the topics")
    gathered = await read_again(partial(gather, servers.settings))
    findings = check(gathered, rules)
    begin, until = simulated.begin, simulated.until
    report.add(
        **counted(gathered),
        volume_per_week=volume_per_week(gathered, begin, until),
        moments_per_week=moments_per_week(gathered, begin, until),
        violations=dict(findings.violations),
        in_flight=dict(findings.in_flight),
        unmatched=findings.unmatched,
        untold=findings.untold,
        examples=dict(findings.examples),
        suppressions=len(gathered.unsaid),
        facts=gathered.facts.total(),
        incremental_revenue=incremental_revenue(gathered, until, seed),
        unsubscribes=_unsubscribes(gathered, rules, options, seed),
        shop=msgspec.to_builtins(simulated.tally),
        repeated=simulated.inbox.repeated,
        seconds_a_day=SECONDS_A_DAY,
    )
    timed = await time_decisions(servers.settings, scenarios, gathered.verdicts, until)
    report.add(arbitrate_us=timed)
    report.add(timers=await _timers(report, servers, folder))
    return simulated, gathered, findings


async def _timers(report: Report, servers: Servers, folder: Path) -> dict[str, Any]:
    own = replace(servers, settings=replace(servers.settings, clock=Clock()))
    try:
        return await time_timers(own, folder, report.say)
    except (Unavailable, TimeoutError) as error:
        # Half an hour of simulated days is not to be lost with it.
        report.say(f"timers: {error}")
        return {"pending": PENDING, "late_p99_ms": None, "missed": None}


def _unsubscribes(
    gathered: Gathered, rules: Rules, options: dict[str, Any], seed: int
) -> dict[str, Any]:
    sent = sum(each.verdict == "send" for each in gathered.verdicts)
    people = people_of(seed, options["customers"])
    effects = WORLDS[options["world"]]
    cap = with_volume(moments_of(gathered, rules), sent, people, effects, seed, rules.zone)
    return {
        "ours": gathered.facts["message_unsubscribed"],
        "calendar_cap": cap.unsubscribed,
        "sent": {"ours": sent, "calendar_cap": cap.sent},
        "messages_a_day": cap.cap,
    }


def _conclude(
    report: Report,
    days: float,
    world: str,
    simulated: Simulated,
    gathered: Gathered,
    findings: Findings,
) -> None:
    results = report.results
    for rule in BROKEN:
        report.check(rule, findings.violations[rule] == 0)
    report.check("unmatched", findings.unmatched == 0)
    report.check("untold", findings.untold == 0)
    if days >= BOUND_DAYS:
        report.check("decisions", len(gathered.verdicts) >= BOUND_DECISIONS)
    cost = results["arbitrate_us"]
    report.check("arbitrate_us", max(cost["mean"], cost["p50"]) < BOUND_ARBITRATE_US)
    timers = results["timers"]
    late = timers["late_p99_ms"]
    report.check("timers", timers["missed"] == 0 and late is not None and late < BOUND_LATE_MS)
    if world == "default":
        unsubscribes = results["unsubscribes"]
        sent = unsubscribes["sent"]
        report.check("same_volume", sent["calendar_cap"] <= SAME_VOLUME * sent["ours"])
        report.check("unsubscribes", unsubscribes["ours"] < unsubscribes["calendar_cap"])
    elif world == "null":
        low, high = results["incremental_revenue"]["ci95"]
        report.check("incremental_revenue", low is not None and low <= 0 <= high)
    else:
        weeks = [
            whole_weeks(results[name], simulated.begin, simulated.until)
            for name in ("volume_per_week", "moments_per_week")
        ]
        report.add(rises=rises(weeks[0]))
        report.check("volume_per_week", falls(*weeks))
