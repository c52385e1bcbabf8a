"""docs/openapi.json: the endpoints of the collector and of recommend, in one OpenAPI document.

Each application describes its own routes; this lays the descriptions together. A path belongs to
its service's server; what both have (health, metrics) stands once, for either.
"""

import inspect
import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, NoReturn

from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.routing import Route

import shared
from services.ingest.collector.app import create_app as create_collector
from services.ingest.collector.metrics import CollectorMetrics
from services.ingest.collector.settings import CollectorSettings
from services.recommend.api import create_app as create_recommend
from services.recommend.metrics import RecommendMetrics
from services.recommend.settings import RecommendSettings
from shared.settings import Settings

COMPONENTS: Final = "#/components/{kind}/{name}"


def document() -> dict[str, Any]:
    """The whole document. Raises LookupError for a route that its application does not describe."""
    return merged(applications())


def applications() -> dict[str, tuple[str, FastAPI]]:
    """Service → address where it listens by default, and its application, not started."""
    host = Settings().host
    return {
        "collector": (
            f"http://{host}:{CollectorSettings().port}",
            create_collector(_never_opened, CollectorMetrics(CollectorRegistry()), {}, []),
        ),
        "recommend": (
            f"http://{host}:{RecommendSettings().port}",
            create_recommend(_never_opened, RecommendMetrics(CollectorRegistry()), {}, []),
        ),
    }


def _never_opened() -> AbstractAsyncContextManager[NoReturn]:
    raise RuntimeError("a document needs no servers")


def merged(applications: Mapping[str, tuple[str, FastAPI]]) -> dict[str, Any]:
    """One document of several applications."""
    paths: dict[str, Any] = {}
    components: dict[str, dict[str, Any]] = {}
    servers = []
    for service, (url, app) in applications.items():
        server = {"url": url, "description": f"attune {service}"}
        servers.append(server)
        described = json.loads(json.dumps(app.openapi()), object_hook=_cleaned)
        both = set(routes_of(app)) & paths.keys()
        require_described(service, app, {*described["paths"], *both})
        for path in both:
            paths[path].pop("servers", None)
        described = _without_collisions(service, described, components)
        for kind, entries in described.get("components", {}).items():
            components.setdefault(kind, {}).update(entries)
        for path, item in described["paths"].items():
            if path not in both:
                paths[path] = {"servers": [server], **item}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Attune",
            "version": shared.__version__,
            "description": "Events in, offers out. Errors are "
            '`{"error": {"code", "message"}}`; 429 and 503 say in Retry-After when to come back.',
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": servers,
        "paths": dict(sorted(paths.items())),
        "components": {kind: dict(sorted(found.items())) for kind, found in components.items()},
    }


def _cleaned(part: dict[str, Any]) -> dict[str, Any]:
    """Descriptions without the source's indentation, which only newer Pythons take away."""
    if isinstance(part.get("description"), str):
        part["description"] = inspect.cleandoc(part["description"])
    return part


def require_described(service: str, app: FastAPI, paths: Collection[str]) -> None:
    """Raises LookupError where a route is missing; one-letter aliases need no description."""
    missing = [path for path in routes_of(app) if path not in paths and not _is_alias(path)]
    if missing:
        raise LookupError(f"{service} does not describe {', '.join(missing)}")


def routes_of(app: FastAPI) -> Iterator[str]:
    """The paths that an application answers, its own description left out."""
    own = {app.openapi_url, app.docs_url, app.redoc_url, app.swagger_ui_oauth2_redirect_url}
    for route in app.routes:
        if isinstance(route, Route) and route.path not in own:
            yield route.path


def _is_alias(path: str) -> bool:
    return len(path.rpartition("/")[2]) == 1


def _without_collisions(
    service: str, described: dict[str, Any], taken: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The description with each component renamed whose name means something else already."""
    text = json.dumps(described)
    renamed: dict[tuple[str, str], str] = {}
    for kind, entries in described.get("components", {}).items():
        for name, entry in entries.items():
            if name in taken.get(kind, {}) and taken[kind][name] != entry:
                renamed[kind, name] = service.capitalize() + name
    for (kind, name), new in renamed.items():
        old_reference = json.dumps(COMPONENTS.format(kind=kind, name=name))
        text = text.replace(old_reference, json.dumps(COMPONENTS.format(kind=kind, name=new)))
    result: dict[str, Any] = json.loads(text)
    for (kind, name), new in renamed.items():
        entries = result["components"][kind]
        entries[new] = entries.pop(name)
    return result
