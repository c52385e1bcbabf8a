"""`attune bench`: the group; each measurement is a module of its own beside this one."""

from services.commands.lazy import LazyGroup, Target

TARGETS = {
    "ingest": Target(
        "services.commands.bench.ingest:command",
        "From a filled log to applied profiles: events a second, and where the time goes.",
    ),
    "recommend": Target(
        "services.commands.bench.recommend:command",
        "Offers: saturated, at a fixed rate, and against a bare baseline.",
    ),
    "freshness": Target(
        "services.commands.bench.freshness:command",
        "From an accepted click to an answer that contains it.",
    ),
    "triggers": Target(
        "services.commands.bench.triggers:command",
        "What is said to customers over simulated days, checked from outside.",
    ),
    "memory": Target(
        "services.commands.bench.memory:command",
        "What a customer costs in Redis.",
    ),
}

command = LazyGroup(
    "bench",
    targets=TARGETS,
    help=(
        "Measure Attune on this machine.\n\n"
        "Each benchmark starts what it needs on free ports, in a data folder of its own: Apache "
        "Kafka and the system's redis-server where they are at hand, else the embedded ones. It "
        "repeats itself at least three times and reports the median."
    ),
)
