"""Variables of what was said to the customer, what they answered, and what is expected of them.

Also `order.*` and `timer.*`: what a moment is about besides. Pure.
"""

from collections.abc import Callable
from typing import Final

from services.profile.component import DAY_MS
from services.profile.contact import Sent
from services.profile.registers import (
    CONTACTED_SUPPORT,
    DELAYED,
    DELIVERED,
    RATED,
    REFUNDED,
    SHIPPED,
    Occasion,
)
from services.profile.scenarios.profile_variables import HOUR_MS, YEAR_MS, component, days_since
from services.profile.scenarios.variable import Moment, Variable, count, flag, number, text, texts


def _sent(moment: Moment, days: int) -> list[Sent]:
    since = moment.now - days * DAY_MS
    return [sent for sent in moment.profile.contact.sent if sent.at > since]


def _ignored(moment: Moment) -> float:
    """The latest messages in a row that were neither opened nor clicked."""
    count = 0
    for sent in moment.profile.contact.sent:
        if not sent.transactional:
            if sent.answered:
                break
            count += 1
    return count


def _predicted(name: str) -> Callable[[Moment], float | None]:
    def read(moment: Moment) -> float | None:
        prediction = moment.around.predict(component(moment), moment.now)
        value = getattr(prediction, name, None)
        return None if value is None else float(value)

    return read


def _to_next_order(moment: Moment) -> float | None:
    at = _predicted("expected_date_of_next_order")(moment)
    return None if at is None else (at - moment.now) / DAY_MS


def _score(kind: str) -> tuple[Variable, Variable]:
    def score(moment: Moment) -> float | None:
        found = component(moment).feedback.get(kind)
        return None if found is None else found.score

    def age(moment: Moment) -> float | None:
        found = component(moment).feedback.get(kind)
        return None if found is None else days_since(moment, found.at)

    return (
        number(f"profile.{kind}", f"latest {kind.upper()} score given", score),
        number(f"profile.days_since_{kind}", "days since then", age),
    )


def _since_latest(code: int) -> Callable[[Moment], float | None]:
    return lambda moment: days_since(moment, component(moment).latest.get(code, 0))


def _since_message(moment: Moment) -> float | None:
    sent = moment.profile.contact.sent
    return days_since(moment, sent[0].at) if sent else None


def _since_checkout(moment: Moment) -> float | None:
    checkout = component(moment).checkout
    return None if checkout is None else (moment.now - checkout.at) / HOUR_MS


def _checkout_total(moment: Moment) -> float | None:
    checkout = component(moment).checkout
    return None if checkout is None else checkout.total


def _order(moment: Moment) -> str:
    return str(getattr(moment.fact, "order", None) or moment.subject)


def _heard(value: int) -> Callable[[Moment], bool]:
    """Whether that is the latest news of the order."""

    def read(moment: Moment) -> bool:
        mark = component(moment).progress.get(_order(moment))
        return mark is not None and mark.value == value

    return read


def _occasion(moment: Moment) -> Occasion | None:
    return component(moment).occasions.get(moment.subject)


def _relation(moment: Moment) -> str | None:
    occasion = _occasion(moment)
    return None if occasion is None else occasion.relation


def _years(moment: Moment) -> float | None:
    first = component(moment).first_order_at
    return float(round((moment.now - first) / YEAR_MS)) if first else None


_EXPECTED: Final = (
    ("historic_clv", "paid so far less what was given back"),
    ("predicted_clv", "expected to be paid in the next 365 days"),
    ("total_clv", "both together"),
    ("predicted_number_of_orders", "orders expected in the next 365 days"),
    ("average_days_between_orders", "days between orders so far"),
    ("churn_probability", "probability (0 to 1) that the customer has left for good"),
)

VARIABLES: Final = (
    *(number(f"profile.{name}", meaning, _predicted(name)) for name, meaning in _EXPECTED),
    number("profile.days_to_next_order", "days until the next order is expected", _to_next_order),
    texts(
        "profile.segments",
        "segments the customer is in",
        lambda m: sorted(m.profile.contact.segments),
        "segments",
    ),
    text("profile.stage", "stage of the journey", lambda m: m.profile.contact.stage, "stages"),
    number(
        "profile.days_in_stage",
        "days since that stage was entered",
        lambda m: days_since(m, m.profile.contact.stage_since),
    ),
    *_score("nps"),
    *_score("csat"),
    *_score("ces"),
    number(
        "profile.days_since_support",
        "days since support was asked",
        _since_latest(CONTACTED_SUPPORT),
    ),
    number("profile.days_since_rating", "days since an item was rated", _since_latest(RATED)),
    number(
        "profile.hours_since_checkout",
        "hours since a checkout that no order followed",
        _since_checkout,
    ),
    number("profile.checkout_total", "its total, where it was told", _checkout_total),
    count(
        "profile.occasions",
        "days of the year the customer saved",
        lambda m: len(component(m).occasions),
    ),
    count("profile.messages_7d", "messages of the last 7 days", lambda m: len(_sent(m, 7))),
    count("profile.messages_30d", "messages of the last 30 days", lambda m: len(_sent(m, 30))),
    count("profile.messages_ignored", "latest messages in a row without an answer", _ignored),
    number("profile.days_since_message", "days since the latest message", _since_message),
)
ORDER: Final = (
    flag("order.shipped", "the latest news of the order: it was shipped", _heard(SHIPPED)),
    flag("order.delayed", "... it is delayed", _heard(DELAYED)),
    flag("order.delivered", "... it was delivered", _heard(DELIVERED)),
    flag("order.refunded", "... money was given back", _heard(REFUNDED)),
)
"""Of scenarios on facts about an order only."""
TIMER: Final = {
    "occasion": (
        text("timer.occasion", "name of the saved day", lambda m: m.subject),
        text("timer.relation", "whose day it is, such as mother", _relation),
    ),
    "anniversary": (number("timer.years", "years since the first order", _years),),
}
"""By timer."""
