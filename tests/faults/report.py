"""What a run of the harness says: keys for scripts, lines for people, a section for the docs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from services.commands.output import Report
from tests.faults.playing import Caught
from tests.faults.run import Outcome
from tests.faults.schedule import Shape
from tests.faults.system import System

BEGIN: Final = "<!-- begin: make faults-long -->"
END: Final = "<!-- end: make faults-long -->"


def add_outcome(report: Report, outcome: Outcome, system: System, shape: Shape) -> None:
    """The keys of CLI.md for a run, the bounds they must keep, and what the witnesses saw."""
    found, verified = outcome.findings, outcome.verification
    lost = max(found.lost, verified.lost)
    twice = max(found.applied_twice, verified.applied_twice)
    triggers_lost = found.decisions_missing + found.messages_missing
    exact = (
        verified.balanced
        and verified.received == found.raw
        and verified.applied == found.distinct
        and sum(verified.dead_lettered.values()) == found.dead
    )
    kills = {name: system.kills[name] for name in ("ingest", "profile", "redis", "broker")}
    report.add(
        events=found.raw,
        kills=kills,
        rebalances=system.rebalances,
        rebuilds=system.rebuilds,
        lost=lost,
        applied_twice=twice,
        triggers_lost=triggers_lost,
        id_conflicts=found.id_conflicts,
        balanced=exact,
        customers=found.identities,
        different=verified.different,
        killed_inside_a_batch=system.inside,
        drained=outcome.drained,
        triggers=found.decisions_found,
        triggers_expected=found.decisions_expected,
        held=found.held,
        released=found.released,
        delivered=outcome.deliveries,
        applied=verified.applied,
        deduplicated=verified.deduplicated,
        dead_lettered=verified.dead_lettered,
        acknowledged_bytes_lost=system.bytes_lost,
        ended_by_themselves=system.exits,
        wrong=found.wrong,
        examples=found.examples,
        first_differences=verified.first_differences,
        seconds={name: round(seconds, 1) for name, seconds in outcome.seconds.items()},
    )
    report.check("lost", lost == 0)
    report.check("applied_twice", twice == 0)
    report.check("triggers_lost", triggers_lost == 0)
    report.check("id_conflicts", found.id_conflicts == 0)
    report.check("balanced", exact)
    report.check("different", verified.different == 0)
    report.check("drained", outcome.drained)
    report.check("witness", not found.wrong)
    report.check("released", found.released > 0)
    report.check("events", found.raw >= shape.events)
    report.check("kills", kills["ingest"] + kills["profile"] >= shape.kills)
    report.check("broker", kills["broker"] == shape.bounces)
    report.check("redis", kills["redis"] == shape.redis_kills + shape.storms)
    report.check("acknowledged_bytes_lost", system.bytes_lost > 0 or not shape.redis_kills)
    report.check("rebuilds", system.rebuilds == shape.rebuilds)
    report.check("rebalances", system.rebalances == shape.rebalances)


def add_mutations(report: Report, played: Mapping[str, Caught]) -> None:
    """Guard → whether its scenario passes with it and fails without it."""
    report.add(
        mutations={guard: each.caught for guard, each in played.items()},
        seen={guard: each.without or [each.why] for guard, each in played.items()},
    )
    for guard, each in played.items():
        report.check(f"mutation {guard}", each.caught)


def write_json(report: Report, path: Path) -> None:
    """The whole report, as `--json` prints it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report.envelope())) + b"\n")


def write_section(report: Report, path: Path) -> None:
    """Replaces what stands between the two markers of a page by this run's figures."""
    page = path.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    if not rest or END not in page:
        raise ValueError(f"{path} has no place between {BEGIN} and {END}")
    path.write_text(f"{before}{BEGIN}\n{section(report.envelope())}{END}{after}")


def section(envelope: dict[str, Any]) -> str:
    """A run as a table, then its mutations as another."""
    plain = msgspec.to_builtins(envelope)
    kills = ", ".join(f"{count} {name}" for name, count in plain["kills"].items())
    machine = plain["machine"]
    rows = [
        ("command, seed", f"`{plain['command']}`, {plain['seed']}"),
        ("commit", plain["commit"][:12]),
        ("machine", f"{machine['cores']} cores, Python {machine['python']}"),
        ("servers", f"{machine['broker']}, {machine['store']}"),
        ("duration", f"{plain['duration_s'] / 60:.1f} minutes"),
        ("raw events", f"{plain['events']:,}"),
        ("applied, deduplicated", f"{plain['applied']:,}, {plain['deduplicated']:,}"),
        ("dead-lettered", f"{sum(plain['dead_lettered'].values()):,}"),
        ("kill -9", kills),
        ("of which inside a batch", plain["killed_inside_a_batch"]),
        ("rebalances", plain["rebalances"]),
        ("rebuilds under traffic", plain["rebuilds"]),
        ("acknowledged bytes that Redis lost", f"{plain['acknowledged_bytes_lost']:,}"),
        ("identities", f"{plain['customers']:,}"),
        ("triggers decided", f"{plain['triggers']:,} ({plain['triggers_expected']:,} must be)"),
        ("of these held, then released", f"{plain['held']:,}, {plain['released']:,}"),
        ("deliveries to the subscriber", f"{plain['delivered']:,}"),
        ("lost", plain["lost"]),
        ("applied twice", plain["applied_twice"]),
        ("triggers lost", plain["triggers_lost"]),
        ("one id, two contents", plain["id_conflicts"]),
        ("balanced", "yes" if plain["balanced"] else "no"),
        ("profiles that differ from the replay", plain["different"]),
        ("failed", ", ".join(plain["failed"]) or "nothing"),
    ]
    lines = ["", "| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows), ""]
    if plain.get("mutations"):
        lines += ["| guard taken away | caught |", "|---|---|"]
        caught = plain["mutations"].items()
        lines += [f"| {guard} | {'yes' if seen else 'NO'} |" for guard, seen in caught]
        lines.append("")
    return "\n".join(lines) + "\n"
