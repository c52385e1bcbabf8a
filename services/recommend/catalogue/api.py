"""The admin endpoints of the catalogue: items, offers and placements under `/v1/admin`.

Every request needs a key with the scope `admin`. A change is committed to SQL, together with its
mark for the publisher, before the answer; it is live in every process a moment later. The
application puts an `Administration` into its lifespan state under `administration` and answers
AttuneError with its status.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from msgspec import structs

from services.recommend.catalogue import contract
from services.recommend.catalogue.bulk import write_bulk
from services.recommend.catalogue.inputs import MOST_BYTES, change_from, revised
from services.recommend.catalogue.kinds import ITEMS, OFFERS, PLACEMENTS, Kind
from services.recommend.catalogue.repository import CatalogueRepository
from services.recommend.catalogue.upload import body, received
from shared.auth import ADMIN, Principal
from shared.catalogue import Change
from shared.clock import Clock
from shared.errors import InvalidInput

MOST_BULK_BYTES: Final = 50 * 1024 * 1024
MOST_A_PAGE: Final = 1_000


@dataclass(frozen=True, slots=True)
class Administration:
    """What the endpoints work with. `authenticate`: KeyRing.authenticate; `changed`: wakes the
    publisher."""

    repository: CatalogueRepository
    authenticate: Callable[[str | None], Principal]
    clock: Clock
    changed: Callable[[], None]


_bearer = HTTPBearer(auto_error=False, scheme_name="key", description="A key of `attune keys`.")


def administration(
    request: Request,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> Administration:
    """Whoever calls is an administrator. Raises Unauthenticated, Forbidden."""
    found: Administration = request.state.administration
    found.authenticate(request.headers.get("authorization")).require(ADMIN)
    return found


Admin: TypeAlias = Annotated[Administration, Depends(administration)]
Limit: TypeAlias = Annotated[int, Query(ge=1, le=MOST_A_PAGE)]
After: TypeAlias = Annotated[str | None, Query(max_length=128)]

router = APIRouter(prefix="/v1/admin", tags=["admin"])


@router.post(
    "/items:bulk",
    summary="Put many items: JSON lines, a JSON array or CSV, plain or gzip",
    openapi_extra={"requestBody": contract.bulk_body(ITEMS)},
    responses={200: contract.response(contract.bulk_result(), "What was written and what not")},
)
async def put_items(request: Request, admin: Admin) -> Response:
    """Each line stands for itself: one bad line does not refuse the others."""
    content_type = request.headers.get("content-type", "")
    async with received(request, MOST_BULK_BYTES) as file:
        try:
            result = await write_bulk(file, content_type, admin.repository, admin.clock.now_ms())
        finally:
            admin.changed()
    return _answer(result)


@router.post(
    "/catalogue:republish",
    summary="Publish everything in SQL to the topic `catalogue` again",
    responses={200: {"description": "How many keys will be published"}},
)
async def republish(admin: Admin) -> Response:
    """For a topic that lost something. Recommend does the same by itself when it starts."""
    keys = list(await admin.repository.changed_at())
    await admin.repository.mark(keys)
    admin.changed()
    return _answer({"marked": len(keys)})


def _address(kind: Kind) -> str:
    return f"/{kind.plural}/{{id_:path}}"


def _responses(kind: Kind) -> dict[int | str, Any]:
    return {
        200: contract.response(contract.answered(kind), f"The {kind.name} as it stands"),
        404: {"description": f"There is no such {kind.name}"},
    }


def _read_endpoints(kind: Kind) -> None:
    @router.get(
        f"/{kind.plural}",
        name=f"list_{kind.plural}",
        summary=f"List {kind.plural} in the order of their ids, a page at a time",
        responses={200: contract.response(contract.page(kind), "A page")},
    )
    async def page(admin: Admin, limit: Limit = 100, after: After = None) -> Response:
        changes = await admin.repository.page(kind, after, limit)
        following = kind.id_of(changes[-1]) if len(changes) == limit else None
        return _answer({kind.plural: [structs.asdict(each) for each in changes], "next": following})

    @router.get(
        _address(kind),
        name=f"get_{kind.name}",
        summary=f"One {kind.name}",
        responses=_responses(kind),
    )
    async def get(id_: str, admin: Admin) -> Response:
        return _change(await admin.repository.get(kind, id_))


def _write_endpoints(kind: Kind) -> None:
    given = {"requestBody": contract.json_body(contract.sent(kind))}

    @router.put(
        _address(kind),
        name=f"put_{kind.name}",
        summary=f"Put one {kind.name}, whole",
        openapi_extra=given,
        responses={200: _responses(kind)[200]},
    )
    async def put(id_: str, request: Request, admin: Admin) -> Response:
        change = change_from(kind, await _json(request), now=admin.clock.now_ms(), id_=id_)
        await admin.repository.put([change])
        admin.changed()
        return _change(change)

    @router.patch(
        _address(kind),
        name=f"patch_{kind.name}",
        summary=f"Change some fields of one {kind.name}; a null clears",
        openapi_extra=given,
        responses=_responses(kind),
    )
    async def patch(id_: str, request: Request, admin: Admin) -> Response:
        changes, now = await _json(request), admin.clock.now_ms()
        change = await admin.repository.revise(
            kind, id_, lambda before: revised(kind, before, changes, now=now)
        )
        admin.changed()
        return _change(change)


def _delete_endpoint(kind: Kind) -> None:
    @router.delete(
        _address(kind),
        name=f"delete_{kind.name}",
        summary=f"Delete one {kind.name}",
        status_code=204,
        responses={404: _responses(kind)[404]},
    )
    async def delete(id_: str, admin: Admin) -> Response:
        await admin.repository.delete(kind, id_)
        admin.changed()
        return Response(status_code=204)


for _kind in (ITEMS, OFFERS, PLACEMENTS):
    _read_endpoints(_kind)
    _write_endpoints(_kind)
    _delete_endpoint(_kind)


async def _json(request: Request) -> object:
    data = await body(request, MOST_BYTES)
    try:
        return msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"malformed JSON: {error}") from None
    except RecursionError:
        raise InvalidInput("malformed JSON: nested too deeply") from None


def _change(change: Change) -> Response:
    return _answer(structs.asdict(change))


def _answer(value: object) -> Response:
    return Response(msgspec.json.encode(value), media_type="application/json")
