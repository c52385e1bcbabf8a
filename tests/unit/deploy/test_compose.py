"""docker-compose.yml, the image and Prometheus's files say only what the code knows.

No container engine is needed: the files are read, and each command, variable, port and series in
them is looked up where it is defined.
"""

import importlib
import inspect
import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from services.cli import TARGETS
from services.commands.contracts import metrics_page
from services.commands.lazy import load
from shared.settings import FromEnvironment

ROOT = Path(__file__).resolve().parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
PROMETHEUS = ROOT / "deploy" / "prometheus"
OURS = sorted(name for name, entry in COMPOSE["services"].items() if entry["image"] == "attune")
SERVERS = ("archive", "collector", "ingest", "profile", "recommend")


def name_of_module(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


@cache
def settings_classes() -> tuple[type[FromEnvironment], ...]:
    """Every class that reads the environment, wherever it is declared."""
    found: list[type[FromEnvironment]] = []
    for package in ("services", "shared"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if "(FromEnvironment)" not in path.read_text():
                continue
            module = importlib.import_module(name_of_module(path))
            found += [
                kind
                for _, kind in inspect.getmembers(module, inspect.isclass)
                if issubclass(kind, FromEnvironment) and kind.__module__ == module.__name__
            ]
    return tuple(kind for kind in found if kind is not FromEnvironment)


def known_variables() -> set[str]:
    return {
        kind.prefix + name.upper()
        for kind in settings_classes()
        for name in getattr(kind, "__dataclass_fields__", {})
    }


def port_of(service: str) -> int:
    """The default port of a service's own settings."""
    found = [
        kind().port  # type: ignore[attr-defined]
        for kind in settings_classes()
        if kind.prefix == f"ATTUNE_{service.upper()}_" and hasattr(kind, "port")
    ]
    assert len(found) == 1, f"one settings class of {service} has a port"
    return int(found[0])


def test_all_services_are_there() -> None:
    assert set(OURS) == {*SERVERS, "topics"}
    assert {"kafka", "redis", "postgres", "prometheus"} <= set(COMPOSE["services"])


@pytest.mark.parametrize("service", OURS)
def test_every_command_exists(service: str) -> None:
    name, *rest = COMPOSE["services"][service]["command"]
    command = load(name, TARGETS[name])
    with click.Context(command, info_name=name) as context:
        if isinstance(command, click.Group):
            sub, *rest = rest
            found = command.get_command(context, sub)
            assert found is not None, f"attune {name} {sub}"
            command = found
        # parsing alone: an unknown option or a missing argument raises UsageError
        command.make_context(name, list(rest))


@pytest.mark.parametrize("service", OURS)
def test_every_variable_is_a_setting_and_parses(service: str) -> None:
    environment = {
        name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value))
        for name, value in COMPOSE["services"][service]["environment"].items()
    }
    assert set(environment) <= known_variables()
    for kind in settings_classes():
        kind.from_environment(environment)


@pytest.mark.parametrize("service", SERVERS)
def test_ports_match_the_settings(service: str) -> None:
    entry = COMPOSE["services"][service]
    port = port_of(service)
    assert f"http://127.0.0.1:{port}/health/ready" in entry["healthcheck"]["test"][-1]
    for published in entry.get("ports", ()):
        assert published == f"127.0.0.1:{port}:{port}"
    scraped = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["scrape_configs"]
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in scraped}
    assert targets[service] == [f"{service}:{port}"]


def test_the_health_check_is_python_that_compiles() -> None:
    for service in SERVERS:
        *_, code = COMPOSE["services"][service]["healthcheck"]["test"]
        compile(code, service, "exec")


def test_nothing_is_published_beyond_this_machine() -> None:
    for name, entry in COMPOSE["services"].items():
        for published in entry.get("ports", ()):
            assert published.startswith("127.0.0.1:"), name


def test_services_wait_for_what_they_need() -> None:
    for service in SERVERS:
        needs = COMPOSE["services"][service]["depends_on"]
        assert needs["topics"] == {"condition": "service_completed_successfully"}
        if service != "archive":  # which knows the log alone
            assert needs["redis"] == needs["postgres"] == {"condition": "service_healthy"}
    assert COMPOSE["services"]["topics"]["depends_on"] == {
        "kafka": {"condition": "service_healthy"}
    }


def test_every_needed_server_has_a_health_check_and_every_volume_is_declared() -> None:
    for name in ("kafka", "redis", "postgres"):
        assert "healthcheck" in COMPOSE["services"][name]
    mounted = {
        volume.split(":")[0]
        for entry in COMPOSE["services"].values()
        for volume in entry.get("volumes", ())
        if not volume.startswith(".")
    }
    assert mounted == set(COMPOSE["volumes"])


def test_redis_persists_and_evicts_nothing() -> None:
    command = COMPOSE["services"]["redis"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))
    assert options["--appendonly"] == "yes"
    assert options["--appendfsync"] == "everysec"
    assert options["--hash-max-listpack-value"] == "2048"
    assert options["--maxmemory-policy"] == "noeviction"


def test_the_image_copies_what_exists_and_runs_as_nobody() -> None:
    lines = (ROOT / "deploy" / "Dockerfile").read_text().splitlines()
    let_in = (ROOT / ".dockerignore").read_text()
    for line in lines:
        if line.startswith("COPY ") and "--from" not in line:
            for source in shlex.split(line)[1:-1]:
                assert (ROOT / source).exists(), source
                assert f"!{source}\n" in let_in, f".dockerignore keeps {source} out"
    assert "USER attune" in lines
    assert 'ENTRYPOINT ["attune"]' in lines
    assert any("--require-hashes -r requirements.lock" in line for line in lines)


def series_in_code() -> set[str]:
    """Names of the series that the services expose."""
    found = [each for series in metrics_page.services().values() for each in series]
    suffixes = {"histogram": ("_bucket", "_count", "_sum")}
    return {each.name + suffix for each in found for suffix in suffixes.get(each.kind, ("",))}


def test_alerts_watch_series_that_exist() -> None:
    groups = yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        watched = set(re.findall(r"attune_[a-z_]+", rule["expr"]))
        assert watched <= series_in_code(), rule["alert"]
        assert {"summary", "action"} <= set(rule["annotations"])


def test_rule_files_are_there() -> None:
    settings = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    for name in settings["rule_files"]:
        assert (PROMETHEUS / name).is_file()
