"""What /v1/recommend may be asked: the typed request, its limits, and its clear refusals."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from shared.errors import InvalidInput
from shared.events import Id

LARGEST_BODY: Final = 32_768
Placement = Annotated[str, Meta(min_length=1, max_length=64, pattern="^[A-Za-z0-9_.-]+$")]
Country = Annotated[str, Meta(pattern="^[A-Z]{2}$")]
Money3 = Annotated[str, Meta(pattern="^[A-Z]{3}$")]
Items = Annotated[list[Id], Meta(max_length=100)]


class Context(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What the page knows. `item`: the item it shows; `cart`: what lies in the cart, newest first;
    `identity_token`: proof of who the customer is, where a browser asks."""

    country: Country | None = None
    currency: Money3 | None = None
    item: Id | None = None
    cart: Items = []
    identity_token: Annotated[str, Meta(max_length=4096)] | None = None


class RecommendRequest(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A request for offers. `session`: item ids viewed in this visit, oldest first (needed only
    for what the events do not carry); `exclude`: items not to offer; n: the placement's own
    number where it is absent."""

    placement: Placement = "home"
    n: Annotated[int, Meta(ge=1, le=100)] | None = None
    customer: Id | None = None
    anonymous: Id | None = None
    session: Items = []
    context: Context = msgspec.field(default_factory=Context)
    exclude: Annotated[list[Id], Meta(max_length=500)] = []
    explain: bool = False


_decoder = msgspec.json.Decoder(RecommendRequest)
_LISTS: Final = {"session", "cart", "exclude"}
_CONTEXT: Final = {"country", "currency", "item", "cart", "identity_token"}


def parse_body(body: bytes) -> RecommendRequest:
    """The request in a JSON body. Raises InvalidInput, naming the field that is wrong."""
    try:
        return _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise InvalidInput(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the body is not JSON: {error}") from None
    except RecursionError:
        raise InvalidInput("the body is nested too deeply") from None


def parse_query(pairs: list[tuple[str, str]]) -> RecommendRequest:
    """The request in a query string: lists are comma-separated, context fields stand by their
    own names. Raises InvalidInput."""
    fields: dict[str, Any] = {}
    context: dict[str, Any] = {}
    for name, text in pairs:
        target = context if name in _CONTEXT else fields
        if name in target:
            raise InvalidInput(f"{name} is given twice")
        target[name] = text.split(",") if name in _LISTS else text
    if context:
        fields["context"] = context
    if fields.get("explain") in {"", "1"}:
        fields["explain"] = "true"
    try:
        return msgspec.convert(fields, RecommendRequest, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidInput(str(error)) from None
