"""One run: members up, the plan sent, faults in their order, all drained, the witnesses asked."""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from services.profile.verify.check import Verification, verify, wait_until_drained
from shared.clock import real_now_ms
from shared.errors import Unavailable
from tests.faults.evidence import message_topics, read_evidence
from tests.faults.findings import Evidence, Findings
from tests.faults.plan import Plan
from tests.faults.schedule import Fault, Shape
from tests.faults.sending import Sender
from tests.faults.subscriber import Subscriber
from tests.faults.system import System, Wrong, service_of
from tests.faults.witness import judge

DRAIN_S: Final = 180.0
DECISIONS_S: Final = 60.0
LISTEN_S: Final = 60.0
LOSING: Final = ("redis_restored", "storm")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run came to, by both witnesses."""

    verification: Verification
    findings: Findings
    deliveries: int
    drained: bool
    seconds: dict[str, float]


async def carry_out(system: System, plan: Plan, shape: Shape, schedule: list[Fault]) -> Outcome:
    """Runs the plan under the schedule. Raises Unavailable where the system cannot be started."""
    topics = message_topics(system.settings)
    async with Subscriber.listening(system.settings, topics) as subscriber:
        return await _carry_out(system, plan, shape, schedule, subscriber)


async def _carry_out(
    system: System, plan: Plan, shape: Shape, schedule: list[Fault], subscriber: Subscriber
) -> Outcome:
    members = [f"{service}-{n}" for service, count in shape.members.items() for n in range(count)]
    await system.start(*members)
    started, base = time.monotonic(), real_now_ms()
    sender = Sender(system.settings, plan, base, shape.rate)
    async with asyncio.TaskGroup() as group:
        group.create_task(sender.run())
        await _break_things(system, sender, schedule, len(plan.records))
    under_fire = time.monotonic() - started
    system.note("  all sent")
    await system.revive()
    # Timers fire only in partitions that are caught up, and the last carts are yet to come due.
    await asyncio.sleep(max(0.0, shape.due_within_s - (real_now_ms() - base) / 1000))
    drained = await _drain(system, plan, base)
    await system.processes.stop(*system.processes.names)
    system.note("  all stopped")
    drain = time.monotonic() - started - under_fire
    verification = await verify(system.settings)
    evidence = await read_evidence(system.settings)
    evidence.heard = await _heard(subscriber, evidence)
    findings = judge(plan, evidence, base, real_now_ms())
    judging = time.monotonic() - started - under_fire - drain
    seconds = {"under_fire": under_fire, "drain": drain, "judging": judging}
    return Outcome(verification, findings, subscriber.deliveries, drained, seconds)


async def _heard(subscriber: Subscriber, evidence: Evidence) -> dict[str, set[bytes]]:
    """What the subscriber was told in all, once it has had the time to hear it."""
    said = {ident for messages in evidence.messages.values() for ident, _ in messages}
    with suppress(TimeoutError):
        await asyncio.wait_for(subscriber.catch_up(len(said)), LISTEN_S)
    return subscriber.heard


async def _break_things(
    system: System, sender: Sender, schedule: list[Fault], records: int
) -> None:
    limits = [fault.at for fault in schedule[1:]] + [records]
    for fault, limit in zip(schedule, limits, strict=True):
        await sender.allow(fault.at)
        await sender.reached(fault.at)
        # There must be writes that Redis can lose.
        await sender.allow(limit + (2_000 if fault.action in LOSING else 0))
        await asyncio.sleep(fault.wait_s)
        await system.revive()
        began = time.monotonic()
        await strike(system, fault)
        system.note(
            f"  {sender.sent:>7,} sent  {fault.action} {fault.target} {fault.point}".rstrip()
            + f"  ({time.monotonic() - began:.1f} s)"
        )
    await sender.allow(records)


async def strike(system: System, fault: Fault) -> None:
    """Carries one fault out, up to where what it broke works again."""
    match fault.action:
        case "kill":
            await system.kill(fault.target)
            await asyncio.sleep(fault.down_s)
            await _start(system, fault.target)
        case "crash":
            await _crash(system, fault)
        case "join":
            await _start(system, fault.target)
            system.rebalances += 1
        case "leave":
            if fault.target in system.processes.names:
                await system.processes.stop(fault.target)
                system.rebalances += 1
        case "broker":
            await system.bounce_broker(fault.down_s)
        case "rebuild":
            await system.rebuild(kill_after_s=1.0 + fault.down_s)
        case "storm":
            await system.kill_redis(fault.down_s, restored=True, members=True)
        case "redis" | "redis_restored":
            await system.kill_redis(fault.down_s, restored=fault.action == "redis_restored")


async def _crash(system: System, fault: Fault) -> None:
    """Kills a member, lets events pile up, and has its successor die inside a batch of them."""
    await system.kill(fault.target)
    await asyncio.sleep(fault.down_s)
    wrong = Wrong(crash=f"{fault.point}:{fault.visits}")
    await system.start(fault.target, wrong=wrong, ready=False)
    if await system.dead(fault.target):
        system.kills[service_of(fault.target)] += 1
        system.inside += 1
    else:
        await system.kill(fault.target)
    await _start(system, fault.target)


async def _start(system: System, member: str) -> None:
    try:
        await system.start(member)
    except Unavailable:
        await system.revive()


async def _drain(system: System, plan: Plan, base: int) -> bool:
    """Whether all is read and committed, and no decision is still to come, within the time."""
    deadline = time.monotonic() + DRAIN_S
    if not await wait_until_drained(system.settings, DRAIN_S):
        return False
    system.note("  drained")
    patience = min(deadline, time.monotonic() + DECISIONS_S)
    while time.monotonic() < patience:
        evidence = await read_evidence(system.settings, decisions_only=True)
        found = judge(plan, evidence, base, real_now_ms())
        if not found.decisions_missing:
            break
        system.note(f"  {found.decisions_missing} to come {found.examples}")
        await system.revive()
        await asyncio.sleep(2)
    system.note("  all decisions are there")
    return await wait_until_drained(system.settings, max(10.0, deadline - time.monotonic()))
