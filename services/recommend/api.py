"""The HTTP side of recommend: /v1/recommend, the catalogue's admin endpoints, health, metrics.

/v1/recommend is an ASGI endpoint on a Starlette route inside the FastAPI application: routing and
validation are what a request costs otherwise. `api_description` documents it.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qsl

import msgspec
from fastapi import FastAPI
from fastapi import Request as FastAPIRequest
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response as FastAPIResponse
from starlette.exceptions import HTTPException
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from services.recommend import operations
from services.recommend.api_description import describe
from services.recommend.catalogue.api import Administration, router
from services.recommend.metrics import RecommendMetrics
from services.recommend.operations import Operation, Served
from services.recommend.request import LARGEST_BODY
from shared.auth import RECOMMEND, Principal
from shared.direct_http import Header, Replier, Reply
from shared.errors import AttuneError, Busy, InvalidInput, TooLarge, Unavailable
from shared.health import Check, routes

PATH: Final = "/v1/recommend"
JSON: Final[Header] = (b"content-type", b"application/json")
NO_STORE: Final[Header] = (b"cache-control", b"no-store")
PREFLIGHT: Final[list[Header]] = [
    (b"access-control-allow-methods", b"GET, POST"),
    (b"access-control-allow-headers", b"authorization, content-type, attune-identity-token"),
    (b"access-control-max-age", b"86400"),
]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Deciding:
    """What requests are answered with. `authenticate`: KeyRing.authenticate."""

    served: Served
    authenticate: Callable[[str | None], Principal]
    administration: Administration


OpenDeciding: TypeAlias = Callable[[], AbstractAsyncContextManager[Deciding]]


class Front:
    """The application, with shortcuts for its busiest path: past FastAPI's middleware, and past
    ASGI for what `replies` answers (shared/direct_http.py).

    The same endpoint answers on all ways; the lifespan state comes with the scope."""

    def __init__(self, app: FastAPI, metrics: RecommendMetrics, origins: list[str]) -> None:
        self._app = app
        self._endpoint = RecommendEndpoint(metrics, origins)
        self.replies: dict[bytes, Replier] = {PATH.encode(): self._endpoint.reply}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == PATH and scope["method"] in {"POST", "GET"}:
            await self._endpoint(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def create_app(
    open_deciding: OpenDeciding,
    metrics: RecommendMetrics,
    checks: Mapping[str, Check],
    origins: list[str],
) -> FastAPI:
    """The application. `open_deciding` stays open for as long as the application serves; `checks`
    are looked up whenever somebody asks for readiness. Building it needs no server."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        async with open_deciding() as deciding:
            yield {"deciding": deciding, "administration": deciding.administration}

    app = FastAPI(title="Attune recommend", lifespan=lifespan, docs_url=None, redoc_url=None)
    # first of all routes: they are tried in order
    app.router.routes[:0] = [
        Route(each.path, RecommendEndpoint(metrics, origins, each), methods=each.methods)
        for each in (operations.RECOMMEND, *operations.BESIDE)
    ]
    app.include_router(router)
    app.router.routes.extend(routes(checks, registry=metrics.registry))

    app.add_exception_handler(AttuneError, _refused)
    app.add_exception_handler(RequestValidationError, _refused)
    app.add_exception_handler(HTTPException, _not_served)
    describe(app)
    return app


async def _refused(_request: FastAPIRequest, error: Exception) -> FastAPIResponse:
    """What an admin endpoint refuses, a parameter that FastAPI found wrong among it."""
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        error = InvalidInput(f"{first['loc'][-1]}: {first['msg']}")
    status, headers, body = failure(error if isinstance(error, AttuneError) else AttuneError())
    named = {name.decode(): value.decode() for name, value in headers}
    return FastAPIResponse(body, status, headers=named)


async def _not_served(_request: FastAPIRequest, error: Exception) -> FastAPIResponse:
    """Paths and methods that do not exist, in the shape of all other errors."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    phrase = HTTPStatus(status).phrase
    body = {"error": {"code": phrase.lower().replace(" ", "_"), "message": phrase}}
    return FastAPIResponse(msgspec.json.encode(body), status, media_type="application/json")


class RecommendEndpoint:
    """ASGI endpoint of one operation: POST with a JSON body, GET for simple cases."""

    def __init__(
        self,
        metrics: RecommendMetrics,
        origins: list[str],
        operation: Operation = operations.RECOMMEND,
    ) -> None:
        self._metrics = metrics
        self._operation = operation
        self._origins = {origin.encode() for origin in origins}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found: dict[bytes, bytes] = dict(scope["headers"])
        if scope["method"] == "OPTIONS":
            await _send(send, 204, [*PREFLIGHT, *self._cors(found)], b"")
            return
        read = partial(_request, self._operation, scope, receive, found)
        status, headers, body = await self.reply(found, read, scope["state"])
        await _send(send, status, headers, body)

    async def reply(
        self,
        found: dict[bytes, bytes],
        body: bytes | Callable[[], Awaitable[Any]],
        state: Mapping[str, Any],
    ) -> Reply:
        """The reply to a POST's whole body, or to the request that `body` reads."""
        try:
            answer = await self._answer(state["deciding"], found, body)
            status, headers = 200, [JSON, NO_STORE]
        except AttuneError as error:
            status, headers, answer = failure(error)
            self._metrics.refused(error.code)
        except Exception:
            _logger.exception("request failed")
            status, headers, answer = failure(AttuneError("an error of the service's own"))
            self._metrics.refused(AttuneError.code)
        return status, [*headers, *self._cors(found)], answer

    async def _answer(
        self,
        deciding: Deciding,
        headers: dict[bytes, bytes],
        body: bytes | Callable[[], Awaitable[Any]],
    ) -> bytes:
        principal = deciding.authenticate(_text(headers.get(b"authorization")))
        principal.require(RECOMMEND)
        request = _parsed(self._operation, body) if isinstance(body, bytes) else await body()
        token = _text(headers.get(b"attune-identity-token"))
        return await self._operation.run(deciding.served, request, principal, token)

    def _cors(self, headers: dict[bytes, bytes]) -> list[Header]:
        origin = headers.get(b"origin")
        if origin is None:
            return []
        if b"*" in self._origins:
            return [(b"access-control-allow-origin", b"*")]
        vary = (b"vary", b"origin")
        if origin in self._origins:
            return [(b"access-control-allow-origin", origin), vary]
        return [vary]


def _parsed(operation: Operation, body: bytes) -> Any:
    if operation.body is None:
        raise InvalidInput("no body is expected")
    return operation.body(body)


async def _request(
    operation: Operation, scope: Scope, receive: Receive, headers: dict[bytes, bytes]
) -> Any:
    if operation.query is not None and scope["method"] != "POST":
        query = scope["query_string"].decode("latin-1")
        try:
            pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=50)
        except ValueError:
            raise InvalidInput("the query string has too many fields") from None
        return operation.query([*pairs, *scope.get("path_params", {}).items()])
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and len(declared) < 20 and int(declared) > LARGEST_BODY:
        raise TooLarge(f"a request has at most {LARGEST_BODY} bytes")
    body = b""
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise InvalidInput("the client went away")
        part = message.get("body", b"")
        body = body + part if body else part
        if len(body) > LARGEST_BODY:
            raise TooLarge(f"a request has at most {LARGEST_BODY} bytes")
        if not message.get("more_body", False):
            return _parsed(operation, body)


def failure(error: AttuneError) -> tuple[int, list[Header], bytes]:
    """An error's answer: its status, {"error": {"code", "message"}} and when to try again."""
    body = {"error": {"code": error.code, "message": str(error) or error.code}}
    headers = [JSON, NO_STORE]
    if isinstance(error, Busy | Unavailable):
        headers.append((b"retry-after", str(error.retry_after_s).encode()))
    if error.status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    return error.status, headers, msgspec.json.encode(body)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


async def _send(send: Send, status: int, headers: list[Header], body: bytes) -> None:
    headers.append((b"content-length", str(len(body)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
