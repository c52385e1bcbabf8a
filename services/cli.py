"""The command `attune`: one entry for every service and every tool, each imported on use."""

import click

import shared
from services.commands.lazy import LazyGroup, Target

TARGETS = {
    "local": Target(
        "services.local.main:command",
        "The whole system on this machine, with a simulated shop and a report.",
    ),
    "collector": Target(
        "services.ingest.collector.main:command", "Serve the HTTP endpoints that take events."
    ),
    "ingest": Target(
        "services.ingest.main:command",
        "Turn raw events into canonical facts; keep what is refused as dead letters.",
    ),
    "profile": Target(
        "services.profile.main:command", "Fold facts into profiles and decide on triggers."
    ),
    "scenarios": Target(
        "services.profile.scenarios.main:command",
        "Check the scenarios file, and see what it would do.",
    ),
    "recommend": Target(
        "services.recommend.main:command", "Serve offers, and the catalogue's admin endpoints."
    ),
    "archive": Target(
        "services.ingest.archive.main:command",
        "Write events and decisions to Delta tables, each record once.",
    ),
    "import": Target(
        "services.ingest.imports.main:command",
        "Send a CSV or JSON-lines export down the path of live events.",
    ),
    "replay": Target(
        "services.ingest.replay:command", "Put dead letters back after a fix; they apply once."
    ),
    "rebuild": Target(
        "services.profile.rebuild.main:command",
        "Fold the log anew into Redis, beside what is live, and swap.",
    ),
    "verify": Target(
        "services.profile.verify.main:command",
        "Compare live profiles with a replay of the log, and check the balance.",
    ),
    "train": Target(
        "services.recommend.training.main:command", "Train the models that offers are ranked with."
    ),
    "models": Target(
        "services.recommend.models.main:command",
        "List, compare, promote and roll back model versions.",
    ),
    "evaluate": Target(
        "services.recommend.evaluation.main:command",
        "Compare recommendation methods on held-out data.",
    ),
    "bench": Target(
        "services.commands.bench.main:command",
        "Measure throughput, latency and freshness on this machine.",
    ),
    "topics": Target("services.commands.topics:command", "Create and list the topics of the log."),
    "keys": Target("services.commands.keys:command", "Create, list and revoke API keys."),
}

main = LazyGroup(
    "attune",
    targets=TARGETS,
    help=(
        "Attune: real-time personalization for shops.\n\n"
        "Events come in over HTTP or Kafka, become facts in a log, are folded into a profile of "
        "each shopper, and change the next page's offers.\n\n"
        "Start with `attune local`. Settings come from the environment (ATTUNE_*)."
    ),
    context_settings={"help_option_names": ["-h", "--help"]},
    params=[],
)
main = click.version_option(shared.__version__, prog_name="attune")(main)

if __name__ == "__main__":
    main()
