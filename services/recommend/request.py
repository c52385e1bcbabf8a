"""What /v1/recommend may be asked: the typed request, its limits, and its clear refusals.

The structs are pure, and the pipeline reads them as they are. The other endpoints' requests
(`endpoints`) are made of the same parts.
"""

import re
from typing import Annotated, Any, Final, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import Meta, Struct

from shared.advice import with_advice
from shared.catalogue import Objective, Share
from shared.errors import InvalidInput
from shared.events import Id, Label

LARGEST_BODY: Final = 32_768
MOST_OFFERED: Final = 100
MOST_EXCLUDED: Final = 500
Placement = Annotated[str, Meta(min_length=1, max_length=64, pattern="^[A-Za-z0-9_.-]+$")]
Country = Annotated[str, Meta(pattern="^[A-Z]{2}$")]
Money3 = Annotated[str, Meta(pattern="^[A-Z]{3}$")]
Items = Annotated[list[Id], Meta(max_length=100)]
Excluded = Annotated[list[Id], Meta(max_length=MOST_EXCLUDED)]
Many = Annotated[int, Meta(ge=1, le=MOST_OFFERED)]
Language: TypeAlias = Literal["en", "ru"]
DeadlineMs = Annotated[int, Meta(ge=1, le=10_000)]

Scalar = Label | float | bool
Values = Annotated[list[Scalar], Meta(min_length=1, max_length=50)]
FieldName = Annotated[str, Meta(min_length=1, max_length=64)]


class Condition(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a field's value must be, all of what is given: one of some values, none of some, within
    a range of numbers (both ends included). A field with several values matches by any of them."""

    any_of: Values | None = None
    none_of: Values | None = None
    at_least: float | None = None
    at_most: float | None = None


Filters = Annotated[dict[FieldName, Condition | Scalar], Meta(max_length=10)]
"""By field of the item (price in minor units), all of them to hold; a plain value stands for
equality."""


class Promotions(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is to be promoted: items of the offers, and items by name; every offer that holds now
    where neither is given. share: at least that share of the answer, rounded down, as far as the
    policy allows so many."""

    share: Share
    offers: Annotated[list[Id], Meta(max_length=20)] = []
    items: Items = []


class Context(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What the page knows. `item`: the item it shows; `cart`: what lies in the cart, newest first;
    `age`: of who will see it, in years; `identity_token`: proof of who the customer is, where a
    browser asks; `trigger`: the scenario whose message the offers are for."""

    country: Country | None = None
    currency: Money3 | None = None
    item: Id | None = None
    cart: Items = []
    age: Annotated[int, Meta(ge=0, le=130)] | None = None
    identity_token: Annotated[str, Meta(max_length=4096)] | None = None
    trigger: Label | None = None


class Asking(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What every request for offers may say.

    `session`: item ids viewed in this visit, oldest first (needed only for what the events do not
    carry); `session_id`: a visit that is known by neither customer nor anonymous id, which then
    stands for the anonymous id; `exclude`: items not to offer; `context_only`: use the request
    alone, whoever it is for; `explain`, `language`: reasons also as sentences; `validate_only`:
    check everything and say what would be done, without deciding; `deadline_ms`: shortens the
    server's own deadline.
    """

    customer: Id | None = None
    anonymous: Id | None = None
    session_id: Id | None = None
    session: Items = []
    context: Context = msgspec.field(default_factory=Context)
    exclude: Excluded = []
    context_only: bool = False
    explain: bool = False
    language: Language | None = None
    validate_only: bool = False
    deadline_ms: DeadlineMs | None = None


class Placed(Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One placement of a batch: see RecommendRequest."""

    placement: Placement = "home"
    n: Many | None = None
    filters: Filters = {}
    promotions: Promotions | None = None
    surprise: Share | None = None
    objective: Objective | None = None


class RecommendRequest(Asking, kw_only=True):
    """A request for offers. Where it is absent the placement's own holds: how many, what to
    maximise, and how surprising (0: familiar, 1: as surprising as it gets)."""

    placement: Placement = "home"
    n: Many | None = None
    filters: Filters = {}
    promotions: Promotions | None = None
    surprise: Share | None = None
    objective: Objective | None = None


_LISTS: Final = {"session", "cart", "exclude"}
CONTEXT: Final = frozenset(
    {"country", "currency", "item", "cart", "age", "identity_token", "trigger"}
)
_FLAGS: Final = {"explain", "validate_only", "context_only"}
_FILTER: Final = re.compile(r"(\$\S*filters)\[\.\.\.\]")
_STEP: Final = re.compile(r"\w+")
_Asked = TypeVar("_Asked", bound=Struct)
_decoder = msgspec.json.Decoder(RecommendRequest)


def parse_body(body: bytes) -> RecommendRequest:
    """The request in a JSON body. Raises InvalidInput, naming the field that is wrong."""
    return decode_body(body, _decoder)


def decode_body(body: bytes, decoder: "msgspec.json.Decoder[_Asked]") -> _Asked:
    """A request in a JSON body. Raises InvalidInput, naming the field that is wrong."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        message = with_advice(str(error), decoder.type)
        raise InvalidInput(_naming_filter(message, body)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"the body is not JSON: {error}") from None
    except RecursionError:
        raise InvalidInput("the body is nested too deeply") from None


def parse_query(pairs: list[tuple[str, str]]) -> RecommendRequest:
    """The request in a query string. Raises InvalidInput."""
    return read_query(pairs, RecommendRequest)


def read_query(
    pairs: list[tuple[str, str]],
    kind: type[_Asked],
    context_fields: frozenset[str] = CONTEXT,
) -> _Asked:
    """A request in a query string: lists are comma-separated, context fields stand by their own
    names. Raises InvalidInput."""
    fields: dict[str, Any] = {}
    context: dict[str, Any] = {}
    for name, text in pairs:
        target = context if name in context_fields else fields
        if name in target:
            raise InvalidInput(f"{name} is given twice")
        target[name] = text.split(",") if name in _LISTS else text
    if context:
        fields["context"] = context
    for name in _FLAGS:
        if fields.get(name) in {"", "1"}:
            fields[name] = "true"
    try:
        return msgspec.convert(fields, kind, strict=False)
    except msgspec.ValidationError as error:
        raise InvalidInput(with_advice(str(error), kind)) from None


def _naming_filter(message: str, body: bytes) -> str:
    """The message with the name of the filter that is wrong, which msgspec leaves out."""
    place = _FILTER.search(message)
    if place is None:
        return message
    given: Any = msgspec.json.decode(body)
    for step in _STEP.findall(place[1]):
        given = given[int(step)] if step.isdigit() else given[step]
    for name, condition in given.items():
        try:
            msgspec.convert({name: condition}, Filters)
        except msgspec.ValidationError:
            return message.replace(f"{place[1]}[...]", f"{place[1]}.{name[:64]}")
    return message
