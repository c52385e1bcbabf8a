"""What each endpoint does: how its request is read, and how it is answered.

Between api.py (HTTP) and service.py (one answer). A browser key may ask for offers, and not for
past decisions, which say whom they were for.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias

import msgspec

from services.recommend import listing
from services.recommend.answers import encode
from services.recommend.decision_explained import explained
from services.recommend.decision_lookup import DecisionLookup
from services.recommend.listing_requests import (
    BatchRequest,
    DecisionRequest,
    RerankRequest,
    SimilarRequest,
    TrendingRequest,
    batch_decoder,
    placed_request,
    rerank_decoder,
    similar_decoder,
    trending_decoder,
    without_repeats,
)
from services.recommend.request import (
    CONTEXT,
    Asking,
    Placed,
    RecommendRequest,
    decode_body,
    parse_body,
    parse_query,
    read_query,
)
from services.recommend.service import Choose, Recommender
from shared.auth import Principal
from shared.errors import Forbidden
from shared.settings import Settings

Pairs: TypeAlias = list[tuple[str, str]]


class Served:
    """What operations answer with."""

    def __init__(self, recommender: Recommender, settings: Settings) -> None:
        self.recommender = recommender
        self.lookup = DecisionLookup(settings)


class Operation(NamedTuple):
    """body, query: read the request out of a POST's body, of a GET's query; None where there is no
    such way to ask. run: answers it, for whom presents the key, with the identity token."""

    path: str
    run: Callable[[Served, Any, Principal, str | None], Awaitable[bytes]]
    body: Callable[[bytes], Any] | None = None
    query: Callable[[Pairs], Any] | None = None

    @property
    def methods(self) -> list[str]:
        """As a route takes them."""
        ways = (("POST", self.body), ("GET", self.query))
        return [*(method for method, way in ways if way is not None), "OPTIONS"]


async def _recommend(
    served: Served, request: RecommendRequest, principal: Principal, token: str | None
) -> bytes:
    return await served.recommender.recommend(request, principal, token)


async def _listed(
    recommender: Recommender,
    asking: Asking,
    placed: Placed,
    choose: Choose,
    principal: Principal,
    token: str | None,
) -> bytes:
    visit = await recommender.visit(asking, principal, token)
    ask = recommender.ask(placed, asking.context)
    if asking.validate_only:
        return recommender.validated(placed, asking, ask, visit)
    return recommender.offer(visit, asking, ask, placed.placement, choose)


async def _rerank(
    served: Served, request: RerankRequest, principal: Principal, token: str | None
) -> bytes:
    items = list(dict.fromkeys(request.items))
    placed = Placed(
        placement=request.placement,
        n=min(len(items), 100),
        filters=request.filters,
        objective=request.objective,
    )
    choose = partial(listing.rerank, items)
    return await _listed(served.recommender, request, placed, choose, principal, token)


async def _similar(
    served: Served, request: SimilarRequest, principal: Principal, token: str | None
) -> bytes:
    placed = Placed(placement=request.placement, n=request.n, filters=request.filters)
    choose = partial(listing.similar, request.item)
    return await _listed(served.recommender, request, placed, choose, principal, token)


async def _trending(
    served: Served, request: TrendingRequest, principal: Principal, token: str | None
) -> bytes:
    placed = Placed(placement=request.placement, n=request.n, filters=request.filters)
    choose = partial(listing.trending, request.category)
    return await _listed(served.recommender, request, placed, choose, principal, token)


async def _batch(
    served: Served, request: BatchRequest, principal: Principal, token: str | None
) -> bytes:
    """One read of the profile; each placement is a decision of its own, with a record of its own,
    and leaves out what those before it offer."""
    without_repeats(request.placements)
    recommender = served.recommender
    visit = await recommender.visit(request, principal, token)
    # all are checked before the first is decided
    asks = [recommender.ask(placed, request.context) for placed in request.placements]
    answers, taken = [], list[str]()
    for placed, ask in zip(request.placements, asks, strict=True):
        own = placed_request(request, placed, taken)
        if request.validate_only:
            answers.append(recommender.validated(own, own, ask, visit))
            continue
        answer = recommender.offer(visit, own, ask, placed.placement)
        taken += [item["id"] for item in msgspec.json.decode(answer)["items"]]
        answers.append(b'{"placement":' + encode(placed.placement) + b"," + answer[1:])
    return b'{"placements":[' + b",".join(answers) + b"]}"


async def _decision(
    served: Served, request: DecisionRequest, principal: Principal, _token: str | None
) -> bytes:
    if principal.kind == "browser":
        raise Forbidden("a browser key may not read decisions")
    decision = await served.lookup.find(request.decision_id)
    return encode(explained(decision, request.language))


def _similar_query(pairs: Pairs) -> SimilarRequest:
    # here `item` is what is asked for, and no context
    return read_query(pairs, SimilarRequest, CONTEXT - {"item"})


RECOMMEND: Final = Operation("/v1/recommend", _recommend, parse_body, parse_query)
BESIDE: Final = (
    Operation("/v1/recommend/batch", _batch, lambda body: decode_body(body, batch_decoder)),
    Operation("/v1/rerank", _rerank, lambda body: decode_body(body, rerank_decoder)),
    Operation(
        "/v1/similar", _similar, lambda body: decode_body(body, similar_decoder), _similar_query
    ),
    Operation(
        "/v1/trending",
        _trending,
        lambda body: decode_body(body, trending_decoder),
        lambda pairs: read_query(pairs, TrendingRequest),
    ),
    Operation(
        "/v1/decisions/{decision_id}",
        _decision,
        query=lambda pairs: read_query(pairs, DecisionRequest, frozenset()),
    ),
)
