"""The collector's HTTP side: routes, statuses and headers; what happens in between is `intake`.

Event endpoints are Starlette routes inside the FastAPI application with msgspec bodies, at a
quarter of the cost of FastAPI's own; `api_description` documents them.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus
from logging import getLogger
from typing import Any, Final, TypeAlias

import msgspec
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from services.ingest.collector.api_description import describe
from services.ingest.collector.intake import IDENTITY_TOKEN, Asked, Intake, Shape
from services.ingest.collector.metrics import CollectorMetrics
from shared.errors import AttuneError, Busy, InvalidInput, Unavailable
from shared.health import Check, routes

SHAPES: Final[dict[str, Shape]] = {
    "/v1/events": "events",
    "/v1/batch": "batch",
    "/v1/import": "batch",
    "/v1/track": "track",
    "/v1/identify": "identify",
    "/v1/page": "page",
    "/v1/screen": "screen",
    "/v1/alias": "alias",
    "/v1/group": "group",
    # what Segment's browser SDK calls them
    "/v1/b": "batch",
    "/v1/t": "track",
    "/v1/i": "identify",
    "/v1/p": "page",
    "/v1/s": "screen",
    "/v1/a": "alias",
    "/v1/g": "group",
}
PREFLIGHT_S: Final = 86_400

OpenIntake: TypeAlias = Callable[[], AbstractAsyncContextManager[Intake]]
_logger = getLogger(__name__)
_encode: Final = msgspec.json.Encoder().encode


def create_app(
    open_intake: OpenIntake,
    metrics: CollectorMetrics,
    checks: Mapping[str, Check],
    origins: list[str],
) -> FastAPI:
    """The application. `open_intake` stays open for as long as the application serves; `checks`
    are looked up whenever somebody asks for readiness."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with open_intake() as intake:
            yield {"intake": intake}

    paths = [
        Route(path, _endpoint(shape, metrics), methods=["POST"]) for path, shape in SHAPES.items()
    ]
    # No credentials: a page proves nothing by its cookies, only by its key and identity token.
    cors = Middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["POST"],
        allow_headers=["authorization", "content-type", "content-encoding", IDENTITY_TOKEN],
        expose_headers=["retry-after"],
        max_age=PREFLIGHT_S,
    )
    app = FastAPI(
        title="Attune collector",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        middleware=[cors],
        exception_handlers={HTTPException: _not_served},
    )
    app.router.routes.extend(paths)
    app.router.routes.extend(routes(checks, registry=metrics.registry))
    describe(app)
    return app


def _endpoint(shape: Shape, metrics: CollectorMetrics) -> Callable[[Request], Awaitable[Response]]:
    async def take(request: Request) -> Response:
        started = time.perf_counter()
        response = await _taken(request.state.intake, request, shape)
        metrics.requests.labels(shape, str(response.status_code)).inc()
        metrics.request_seconds.observe(time.perf_counter() - started)
        return response

    return take


async def _taken(intake: Intake, request: Request, shape: Shape) -> Response:
    asked = Asked(shape, request.headers, request.query_params.get("key"), request.stream())
    try:
        return _json(200, await intake.take(asked))
    except AttuneError as error:
        return failure(error)
    except ClientDisconnect:
        return failure(InvalidInput("the client went away"))
    except Exception:
        _logger.exception("request failed", extra={"endpoint": shape})
        return failure(AttuneError("an error of the collector's own"))


async def _not_served(_request: Request, error: Exception) -> Response:
    """Paths and methods that do not exist, in the shape of all other errors."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    phrase = HTTPStatus(status).phrase
    code = phrase.lower().replace(" ", "_")
    return _json(status, {"error": {"code": code, "message": phrase}})


def failure(error: AttuneError) -> Response:
    """An error's answer: its status, {"error": {"code", "message"}} and when to try again."""
    body = {"error": {"code": error.code, "message": str(error) or error.code}}
    response = _json(error.status, body)
    if isinstance(error, Busy | Unavailable):
        response.headers["retry-after"] = str(error.retry_after_s)
    if error.status == 401:
        response.headers["www-authenticate"] = "Bearer"
    return response


def _json(status: int, body: object) -> Response:
    return Response(_encode(body), status, media_type="application/json")
