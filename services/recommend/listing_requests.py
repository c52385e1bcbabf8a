"""What the endpoints beside /v1/recommend may be asked, and what they answer beside offers."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from services.recommend.request import (
    Asking,
    Filters,
    Language,
    Many,
    Placed,
    Placement,
    RecommendRequest,
)
from shared.catalogue import Objective
from shared.decisions import OfferedItem, Recommendation
from shared.errors import InvalidInput
from shared.events import Id, Label

MOST_GIVEN: Final = 200
MOST_PLACEMENTS: Final = 10
Given = Annotated[list[Id], Meta(min_length=1, max_length=MOST_GIVEN)]


class RerankRequest(Asking, kw_only=True):
    """Items to be put in order for this shopper."""

    items: Given
    placement: Placement = "rerank"
    filters: Filters = {}
    objective: Objective | None = None


class SimilarRequest(Asking, kw_only=True):
    """Items like this one; n: the placement's own number where it is absent."""

    item: Id
    placement: Placement = "similar"
    n: Many | None = None
    filters: Filters = {}


class TrendingRequest(Asking, kw_only=True):
    """What is wanted now, in `context.country` where it is given, of a category where one is."""

    category: Label | None = None
    placement: Placement = "trending"
    n: Many | None = None
    filters: Filters = {}


class BatchRequest(Asking, kw_only=True):
    """Several placements of one page: no item stands in two of them; the first chooses first."""

    placements: Annotated[list[Placed], Meta(min_length=1, max_length=MOST_PLACEMENTS)]


class DecisionRequest(Struct, kw_only=True, forbid_unknown_fields=True):
    """A past decision, explained in a language."""

    decision_id: str
    language: Language = "en"


class RerankedItem(OfferedItem, kw_only=True):
    """withheld: why the item may not be offered to this shopper (`unknown_item`: the catalogue has
    none such); such items come behind all others, in the order given."""

    withheld: str | None = None


class Reranked(Recommendation, kw_only=True):
    """The answer of /v1/rerank: every given item once."""

    items: list[RerankedItem]  # type: ignore[assignment]


class PlacedRecommendation(Recommendation, kw_only=True):
    """The answer for one placement of a batch."""

    placement: str


class BatchAnswer(Struct, kw_only=True):
    """The answer of /v1/recommend/batch, in the order of the request."""

    placements: list[PlacedRecommendation]


class Validated(Struct, kw_only=True):
    """What would be done: the answer where `validate_only` is set. matching: how many items of the
    catalogue the filters let pass; unknown_fields: fields of filters that no item has."""

    placement: str
    administered: bool
    n: int
    objective: str
    surprise: float
    explore_share: float
    deadline_ms: int
    identity: str
    matching: int | None = None
    unknown_fields: list[str] = []
    valid: bool = True


def placed_request(batch: BatchRequest, placed: Placed, taken: list[str]) -> RecommendRequest:
    """The request for one placement of a batch, without the items that others have taken."""
    shared = {name: getattr(batch, name) for name in Asking.__struct_fields__}
    own = {name: getattr(placed, name) for name in Placed.__struct_fields__}
    return RecommendRequest(**(shared | own | {"exclude": batch.exclude + taken}))


def without_repeats(placements: list[Placed]) -> None:
    """Raises InvalidInput where a placement is named twice: answers are told apart by its name."""
    names = [placed.placement for placed in placements]
    for at, name in enumerate(names):
        if name in names[:at]:
            raise InvalidInput(f"placements[{at}].placement: {name} is named twice")


rerank_decoder: Final = msgspec.json.Decoder(RerankRequest)
similar_decoder: Final = msgspec.json.Decoder(SimilarRequest)
trending_decoder: Final = msgspec.json.Decoder(TrendingRequest)
batch_decoder: Final = msgspec.json.Decoder(BatchRequest)
