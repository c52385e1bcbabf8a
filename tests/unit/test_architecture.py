"""Import rules and sizes, read from the source by AST: what DESIGN calls pure stays pure.

A rule looks at what a module imports directly; purity also follows imports within the project,
so a pure module cannot reach Redis through a neighbour. Imports under TYPE_CHECKING do not count.
"""

import ast
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LONGEST_MODULE = 300
LONGEST_FUNCTION = 40

PURE = (
    "services/ingest/archive/buffer.py",
    "services/ingest/clock_skew.py",
    "services/ingest/collector/split.py",
    "services/ingest/decide.py",
    "services/ingest/enrich.py",
    "services/ingest/formats/*.py",
    "services/ingest/identity.py",
    "services/ingest/json_object.py",
    "services/ingest/money.py",
    "services/ingest/normalise.py",
    "services/ingest/imports/items.py",
    "services/ingest/imports/mapping_errors.py",
    "services/ingest/imports/mapping_rules.py",
    "services/ingest/imports/orders.py",
    "services/ingest/imports/raw.py",
    "services/ingest/imports/row.py",
    "services/ingest/imports/values.py",
    "services/ingest/typed.py",
    "services/profile/arbiter/*.py",
    "services/profile/batch.py",
    "services/profile/cloud_events.py",
    "services/profile/columns.py",
    "services/profile/consent.py",
    "services/profile/contact*.py",
    "services/profile/counts_format.py",
    "services/profile/registers.py",
    "services/profile/component*.py",
    "services/profile/dry_run/counting.py",
    "services/profile/dry_run/drafting.py",
    "services/profile/dry_run/interested.py",
    "services/profile/dry_run/items_then.py",
    "services/profile/dry_run/playing.py",
    "services/profile/dry_run/report.py",
    "services/profile/explain/answer.py",
    "services/profile/explain/conditions.py",
    "services/profile/explain/doubts.py",
    "services/profile/explain/explaining.py",
    "services/profile/explain/judging.py",
    "services/profile/explain/opening.py",
    "services/profile/explain/wording.py",
    "services/profile/fold*.py",
    "services/profile/identity.py",
    "services/profile/item_counts.py",
    "services/profile/items/interest.py",
    "services/profile/moments/*.py",
    "services/profile/prediction.py",
    "services/profile/scenarios/book.py",
    "services/profile/scenarios/checking.py",
    "services/profile/scenarios/expressions.py",
    "services/profile/scenarios/moment_variables.py",
    "services/profile/scenarios/profile_variables.py",
    "services/profile/scenarios/beginnings.py",
    "services/profile/scenarios/contact_variables.py",
    "services/profile/scenarios/declared.py",
    "services/profile/scenarios/idle.py",
    "services/profile/scenarios/nodes.py",
    "services/profile/scenarios/problems.py",
    "services/profile/scenarios/reading.py",
    "services/profile/scenarios/reference.py",
    "services/profile/scenarios/scalar_shapes.py",
    "services/profile/scenarios/schema.py",
    "services/profile/scenarios/shapes.py",
    "services/profile/scenarios/straight.py",
    "services/profile/scenarios/syntax.py",
    "services/profile/scenarios/tokens.py",
    "services/profile/scenarios/typed.py",
    "services/profile/scenarios/variable.py",
    "services/profile/scenarios/variables.py",
    "services/profile/state*.py",
    "services/profile/timers/*.py",
    "services/profile/verify/replay.py",
    "services/profile/view.py",
    "services/profile/window.py",
    "services/recommend/arrangement.py",
    "services/recommend/asking.py",
    "services/recommend/availability.py",
    "services/recommend/candidates/*.py",
    "services/recommend/catalogue/fields.py",
    "services/recommend/catalogue/terms.py",
    "services/recommend/decimals.py",
    "services/recommend/diversity.py",
    "services/recommend/experiment.py",
    "services/recommend/explain.py",
    "services/recommend/exploration.py",
    "services/recommend/features/*.py",
    "services/recommend/grounds.py",
    "services/recommend/knowledge.py",
    "services/recommend/learned_reasons.py",
    "services/recommend/listing.py",
    "services/recommend/objective.py",
    "services/recommend/offers.py",
    "services/recommend/pipeline.py",
    "services/recommend/policy.py",
    "services/recommend/popularity.py",
    "services/recommend/ranker/*.py",
    "services/recommend/ranking.py",
    "services/recommend/restrictions.py",
    "services/recommend/seasons.py",
    "services/recommend/situation.py",
    "services/recommend/training/baskets.py",
    "services/recommend/training/building.py",
    "services/recommend/training/counting.py",
    "services/recommend/training/facts.py",
    "services/recommend/training/history.py",
    "services/recommend/training/holding_out.py",
    "services/recommend/training/lifetime.py",
    "services/recommend/training/outcomes.py",
    "services/recommend/training/promotion.py",
    "shared/advice.py",
    "shared/archive_columns.py",
    "shared/archive_rows.py",
    "shared/catalogue.py",
    "shared/decisions.py",
    "shared/events.py",
    "shared/fact_types.py",
    "shared/headers.py",
    "shared/lifetime.py",
    "shared/packed.py",
    "shared/profile.py",
    "shared/topics.py",
    "shared/triggers.py",
)
IMPURE_IMPORTS = frozenset(
    [
        "aiohttp",
        "aiokafka",
        "asyncpg",
        "confluent_kafka",
        "fastapi",
        "httpx",
        "os",
        "random",
        "redis",
        "secrets",
        "shared.settings",
        "socket",
        "sqlalchemy",
        "starlette",
        "subprocess",
        "time",
        "urllib.request",
    ]
)
IMPURE_CALLS = frozenset(
    ["getenv", "now", "now_ms", "real_now_ms", "today", "token_hex", "urandom", "utcnow"]
) | frozenset(["uuid1", "uuid4", "uuid7"])
"""Names of calls that read a clock, an environment or a dice."""

BUS = ("shared/bus*.py",)
ARCHIVE = ("shared/archive*.py",)
STORES = ("*/store*.py", "*/*_store.py", "*/store/*.py")
SQL = (
    "*/*_store.py",
    "*/*ledger*.py",
    "*/*repository*.py",
    "shared/database*.py",
    "shared/tables*.py",
    "shared/migrations/**",
)
BENCH = ("services/commands/bench/*.py",)
"""Benchmarks measure bare libraries beside Attune, and look under its hood."""
MIGRATIONS = ("shared/migrations/**",)
"""A migration lists tables, however many."""
SIMULATOR = ("services/simulator/*.py",)
"""The simulated shop plays somebody else's program: it has its own Kafka client."""

CLIENTS = frozenset(
    [
        "AIOKafkaConsumer",
        "AIOKafkaProducer",
        "AIOKafkaAdminClient",
        "ClientSession",
        "FastAPI",
        "Redis",
        "Starlette",
        "StrictRedis",
        "create_async_engine",
        "create_engine",
        "from_url",
        "open_database",
    ]
)


def sources() -> list[Path]:
    return sorted(
        path for package in ("services", "shared") for path in ROOT.glob(f"{package}/**/*.py")
    )


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def matches(path: Path, patterns: tuple[str, ...]) -> bool:
    return any(fnmatch(name_of(path), pattern) for pattern in patterns)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """Everything below a node that exists at run time."""
    for child in ast.iter_child_nodes(node):
        if is_type_checking(child):
            continue
        yield child
        yield from walk(child)


@cache
def imports_of(path: Path) -> frozenset[str]:
    """Dotted names of all a module imports; `from a import b` counts as `a` and `a.b`."""
    names: set[str] = set()
    package = name_of(path).removesuffix(".py").split("/")[:-1]
    for node in walk(tree_of(path)):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            names.add(module)
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return frozenset(names)


def imports_any(path: Path, forbidden: str) -> bool:
    return any(name == forbidden or name.startswith(forbidden + ".") for name in imports_of(path))


def local_module(name: str) -> Path | None:
    """The project's file behind a dotted name, or None."""
    path = ROOT.joinpath(*name.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if name.startswith(("services", "shared")) and candidate.is_file():
            return candidate
    return None


def reachable(path: Path) -> set[Path]:
    """The module and every project module that importing it imports.

    shared/clock.py is left out: a pure module may take a Clock to convert times with, and may not
    ask it for the time, which the test of calls holds.
    """
    seen: set[Path] = set()
    waiting = [path]
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        if name_of(current) == "shared/clock.py":
            continue
        seen.add(current)
        waiting.extend(filter(None, map(local_module, imports_of(current))))
    return seen


def called_name(node: ast.AST) -> str | None:
    if not isinstance(node, ast.Call):
        return None
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else None


def outside(patterns: tuple[str, ...], forbidden: str) -> list[str]:
    """Modules that import something although no pattern allows them to."""
    return [
        f"{name_of(path)} imports {forbidden}"
        for path in sources()
        if not matches(path, patterns) and imports_any(path, forbidden)
    ]


def test_every_pure_pattern_names_a_module() -> None:
    unmatched = [
        pattern
        for pattern in PURE
        if not any(fnmatch(name_of(path), pattern) for path in sources())
    ]
    assert unmatched == []


def test_pure_modules_reach_no_server_no_clock_and_no_dice() -> None:
    violations = [
        f"{name_of(path)} reaches {forbidden} through {name_of(module)}"
        for path in sources()
        if matches(path, PURE)
        for module in sorted(reachable(path))
        for forbidden in sorted(IMPURE_IMPORTS)
        if imports_any(module, forbidden)
    ]
    assert violations == []


def test_pure_modules_call_no_clock_and_no_dice() -> None:
    violations = [
        f"{name_of(path)}:{getattr(node, 'lineno', 0)} calls {called_name(node)}"
        for path in sources()
        if matches(path, PURE)
        for node in walk(tree_of(path))
        if called_name(node) in IMPURE_CALLS
    ]
    assert violations == []


def test_only_the_bus_knows_aiokafka() -> None:
    assert outside((*BUS, *SIMULATOR), "aiokafka") == []


@pytest.mark.parametrize("package", ["deltalake", "arro3"])
def test_only_the_archive_knows_delta_tables(package: str) -> None:
    assert outside(ARCHIVE, package) == []


@pytest.mark.parametrize("client", ["redis", "valkey", "hiredis"])
def test_only_stores_know_redis(client: str) -> None:
    assert outside((*STORES, *BENCH), client) == []


def test_only_repositories_know_sql() -> None:
    assert outside(SQL, "sqlalchemy") == []


def test_the_simulated_shop_knows_nothing_of_attune() -> None:
    violations = [
        f"{name_of(path)} imports {name}"
        for path in sources()
        if matches(path, SIMULATOR)
        for name in sorted(imports_of(path))
        if name.split(".")[0] in {"services", "shared"}
        and not name.startswith("services.simulator")
    ]
    assert violations == []


def test_shared_knows_no_service() -> None:
    violations = [
        f"{name_of(path)} imports {name}"
        for path in sources()
        if name_of(path).startswith("shared/")
        for name in sorted(imports_of(path))
        if name.split(".")[0] == "services"
    ]
    assert violations == []


def test_no_client_is_opened_at_import() -> None:
    violations = [
        f"{name_of(path)}:{node.lineno} calls {called_name(call)}"
        for path in sources()
        for node in tree_of(path).body
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.Expr)
        for call in walk(node)
        if called_name(call) in CLIENTS
    ]
    assert violations == []


def test_modules_are_short_and_say_where_they_sit() -> None:
    too_long = [
        f"{name_of(path)}: {lines} lines"
        for path in sources()
        if (lines := len(path.read_text().splitlines())) > LONGEST_MODULE
    ]
    silent = [
        name_of(path)
        for path in sources()
        if path.read_text().strip() and ast.get_docstring(tree_of(path)) is None
    ]
    assert (too_long, silent) == ([], [])


def length(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines from `def` to the end, without its docstring and the functions it defines."""
    total = (function.end_lineno or function.lineno) - function.lineno + 1
    if ast.get_docstring(function) is not None:
        total -= lines_of(function.body[0])
    return total - sum(
        lines_of(inner)
        for inner in function.body
        if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def lines_of(node: ast.stmt) -> int:
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    return (node.end_lineno or node.lineno) - first + 1


def test_functions_are_short() -> None:
    violations = [
        f"{name_of(path)}:{node.lineno} {node.name}: {length(node)} lines"
        for path in sources()
        if not matches(path, MIGRATIONS)
        for node in walk(tree_of(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and length(node) > LONGEST_FUNCTION
    ]
    assert violations == []


def test_names_say_what_things_are() -> None:
    vague = ("util", "helper", "manager", "common", "misc")
    violations = [
        name_of(path) for path in sources() if any(word in name_of(path).lower() for word in vague)
    ]
    violations += [
        f"{name_of(path)}: {node.name}"
        for path in sources()
        for node in walk(tree_of(path))
        if isinstance(node, ast.ClassDef) and node.name.endswith(("Manager", "Helper", "Utils"))
    ]
    assert violations == []


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import redis.asyncio", {"redis.asyncio"}),
        ("from shared import settings", {"shared", "shared.settings"}),
        ("def late():\n    import time", {"time"}),
        (
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import redis",
            {"typing", "typing.TYPE_CHECKING"},
        ),
    ],
)
def test_imports_are_read_as_they_run(
    code: str, expected: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    module = tmp_path / "services" / "example.py"
    module.parent.mkdir()
    module.write_text(code)
    assert imports_of(module) == expected
