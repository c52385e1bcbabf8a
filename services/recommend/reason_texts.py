"""Reasons as sentences a shopper can read, in English and Russian.

Said of the codes and evidence of explain.py and policy.py, after the decision; only where a
request asks for sentences. Pure. Each code stands in both languages (a test holds it).
"""

# ruff: noqa: RUF001 - Russian is not mistaken Latin

from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from services.recommend.request import Language
from shared.decisions import Filtered, Reason

Evidence: TypeAlias = Mapping[str, Any]
Sentence: TypeAlias = Callable[[Evidence], str]

_DONE: Final[dict[str, dict[str, str]]] = {
    "en": {
        "item_viewed": "you viewed",
        "cart_added": "you put into the cart",
        "purchased": "you bought",
        "wishlist_added": "you saved",
        "offer_clicked": "you opened",
    },
    "ru": {
        "item_viewed": "вы смотрели",
        "cart_added": "вы положили в корзину",
        "purchased": "вы купили",
        "wishlist_added": "вы отложили",
        "offer_clicked": "вы открыли",
    },
}
_FIELDS: Final = {"category": "категория", "brand": "марка"}


def english(count: int, one: str, many: str) -> str:
    """The number with its noun."""
    return f"{count} {one if count == 1 else many}"


def russian(count: int, one: str, few: str, many: str) -> str:
    """The number with the form of its noun: 1, 21 товар; 2, 22 товара; 5, 11, 12 товаров."""
    if count % 10 == 1 and count % 100 != 11:
        return f"{count} {one}"
    if count % 10 in {2, 3, 4} and count % 100 not in {12, 13, 14}:
        return f"{count} {few}"
    return f"{count} {many}"


def _event(evidence: Evidence, language: str, otherwise: str) -> str:
    """The shopper's own event that a reason rests on: what was done with which item."""
    for event in evidence.get("events") or ():
        done = _DONE[language].get(event["fact"])
        if done is not None:
            return f"{done} {event['item']}"
    return otherwise


def _number(evidence: Evidence, name: str) -> int:
    value = evidence.get(name)
    return round(value) if isinstance(value, int | float) else 0


def _percent(evidence: Evidence) -> int:
    return round(100 * float(evidence.get("share") or 0))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _counts_en(evidence: Evidence) -> str:
    views, carts, purchases = _counts(evidence)
    said = [
        english(views, "view", "views"),
        carts and english(carts, "time in a cart", "times in a cart"),
        purchases and english(purchases, "purchase", "purchases"),
    ]
    return ", ".join(each for each in said if each)


def _counts_ru(evidence: Evidence) -> str:
    views, carts, purchases = _counts(evidence)
    added = russian(carts, "добавление", "добавления", "добавлений")
    said = [
        russian(views, "просмотр", "просмотра", "просмотров"),
        carts and f"{added} в корзину",
        purchases and russian(purchases, "покупка", "покупки", "покупок"),
    ]
    return ", ".join(each for each in said if each)


def _counts(evidence: Evidence) -> tuple[int, int, int]:
    return _number(evidence, "views"), _number(evidence, "carts"), _number(evidence, "purchases")


def _similar_en(evidence: Evidence) -> str:
    own = _capital(_event(evidence, "en", "you looked around"))
    visits = english(_number(evidence, "sessions"), "such visit", "such visits")
    return f"{own}; in {visits} this was looked at too."


def _similar_ru(evidence: Evidence) -> str:
    own = _capital(_event(evidence, "ru", "вы смотрели товары"))
    count = _number(evidence, "sessions")
    visits = russian(count, "таком посещении", "таких посещениях", "таких посещениях")
    return f"{own}; в {visits} смотрели и этот товар."


def _together_en(evidence: Evidence) -> str:
    own = _capital(_event(evidence, "en", "you chose something that goes with it"))
    return f"{own}; both are in {english(_number(evidence, 'orders'), 'order', 'orders')}."


def _together_ru(evidence: Evidence) -> str:
    own = _capital(_event(evidence, "ru", "вы выбрали то, что к нему подходит"))
    return (
        f"{own}; вместе их заказали {russian(_number(evidence, 'orders'), 'раз', 'раза', 'раз')}."
    )


def _affinity_en(evidence: Evidence) -> str:
    if evidence.get("field") == "price_band":
        return f"The price is of the kind you usually look for ({_percent(evidence)} %)."
    kind = f"{evidence.get('field')} {evidence.get('value')}"
    return f"You often choose the {kind} ({_percent(evidence)} %)."


def _affinity_ru(evidence: Evidence) -> str:
    if evidence.get("field") == "price_band":
        return f"Цена из тех, что вы обычно выбираете ({_percent(evidence)} %)."
    field = str(evidence.get("field"))
    kind = f"{_FIELDS.get(field, field)} {evidence.get('value')}"
    return f"Вы часто выбираете: {kind} ({_percent(evidence)} %)."


def _exploration_en(evidence: Evidence) -> str:
    if "random_share" in evidence:
        return "Drawn by lot, to measure what recommendations are worth."
    shown = english(_number(evidence, "shown"), "time", "times")
    clicked = english(_number(evidence, "clicked"), "time", "times")
    return f"Shown to learn about it: so far shown {shown}, opened {clicked}."


def _exploration_ru(evidence: Evidence) -> str:
    if "random_share" in evidence:
        return "Выбрано по жребию, чтобы измерить пользу рекомендаций."
    shown = russian(_number(evidence, "shown"), "показ", "показа", "показов")
    clicked = russian(_number(evidence, "clicked"), "переход", "перехода", "переходов")
    return f"Показано, чтобы узнать о товаре больше: пока {shown}, {clicked}."


def _again_en(evidence: Evidence) -> str:
    ago, days = _number(evidence, "days_ago"), _number(evidence, "interval_days")
    when = f" {english(ago, 'day', 'days')} ago" if ago else ""
    usual = f"; it is usually bought again after {english(days, 'day', 'days')}" if days else ""
    return f"You bought this{when}{usual}."


def _again_ru(evidence: Evidence) -> str:
    ago, days = _number(evidence, "days_ago"), _number(evidence, "interval_days")
    when = f" {russian(ago, 'день', 'дня', 'дней')} назад" if ago else ""
    usual = f"; обычно его покупают снова через {russian(days, 'день', 'дня', 'дней')}"
    return f"Вы покупали этот товар{when}{usual if days else ''}."


def _new_en(evidence: Evidence) -> str:
    days = _number(evidence, "days_ago")
    return f"New in the shop: it came {english(days, 'day', 'days')} ago." if days else "New today."


def _new_ru(evidence: Evidence) -> str:
    days = _number(evidence, "days_ago")
    came = (
        f"появилась {russian(days, 'день', 'дня', 'дней')} назад" if days else "появилась сегодня"
    )
    return f"Новинка: {came}."


def _here_en(evidence: Evidence) -> str:
    of = f", category {evidence['category']}" if evidence.get("category") else ""
    return f"Wanted now in {evidence.get('country')}{of}."


def _here_ru(evidence: Evidence) -> str:
    of = f", категория {evidence['category']}" if evidence.get("category") else ""
    return f"Сейчас популярно: страна {evidence.get('country')}{of}."


def _offer(evidence: Evidence) -> str:
    return str(evidence.get("title") or evidence.get("offer"))


OFFERED: Final[dict[str, dict[str, Sentence]]] = {
    "en": {
        "similar_sessions": _similar_en,
        "recently_viewed": lambda _: "You looked at this lately.",
        "bought_together": _together_en,
        "affinity": _affinity_en,
        "trending": lambda evidence: f"Wanted now: {_counts_en(evidence)}.",
        "trending_here": _here_en,
        "converts_well": lambda evidence: f"Often bought once seen: {_counts_en(evidence)}.",
        "catalogue": lambda _: "From the shop's catalogue.",
        "exploration": _exploration_en,
        "promotion": lambda evidence: (
            f"Offer: {_offer(evidence)}, {_number(evidence, 'percent_off')} % off."
        ),
        "promoted": lambda _: "Promoted by the shop.",
        "similar_item": lambda evidence: (
            f"Like what pleases you: {_event(evidence, 'en', 'you looked at such items')}."
        ),
        "taste": lambda evidence: (
            f"Fits your taste: {_event(evidence, 'en', 'by all that you chose')}."
        ),
        "buy_again": _again_en,
        "new_item": _new_en,
    },
    "ru": {
        "similar_sessions": _similar_ru,
        "recently_viewed": lambda _: "Вы недавно смотрели этот товар.",
        "bought_together": _together_ru,
        "affinity": _affinity_ru,
        "trending": lambda evidence: f"Сейчас популярно: {_counts_ru(evidence)}.",
        "trending_here": _here_ru,
        "converts_well": lambda evidence: f"Посмотрев, его часто покупают: {_counts_ru(evidence)}.",
        "catalogue": lambda _: "Из каталога магазина.",
        "exploration": _exploration_ru,
        "promotion": lambda evidence: (
            f"Акция: {_offer(evidence)}, скидка {_number(evidence, 'percent_off')} %."
        ),
        "promoted": lambda _: "Магазин советует этот товар.",
        "similar_item": lambda evidence: (
            f"Похоже на то, что вам нравится: {_event(evidence, 'ru', 'вы смотрели такие товары')}."
        ),
        "taste": lambda evidence: (
            f"Подходит вашему вкусу: {_event(evidence, 'ru', 'по всему, что вы выбирали')}."
        ),
        "buy_again": _again_ru,
        "new_item": _new_ru,
    },
}
"""Why an item is offered, by language and code."""

WITHHELD: Final[dict[str, dict[str, str]]] = {
    "en": {
        "unknown_item": "not in the catalogue",
        "inactive": "not active",
        "not_recommendable": "not to be recommended",
        "out_of_stock": "out of stock",
        "not_yet_valid": "not on sale yet",
        "no_longer_valid": "no longer on sale",
        "country": "not for this country",
        "season": "not in season there",
        "age": "not for this age",
        "category": "of a category that this placement does not show",
        "filtered": "not what the request's filters ask for",
        "in_cart": "already in the cart",
        "bought": "already bought",
        "dismissed": "the shopper wanted less like this",
        "excluded": "excluded by the request",
        "capped": "shown often enough",
    },
    "ru": {
        "unknown_item": "нет в каталоге",
        "inactive": "отключено",
        "not_recommendable": "не для рекомендаций",
        "out_of_stock": "нет в наличии",
        "not_yet_valid": "ещё не в продаже",
        "no_longer_valid": "уже не в продаже",
        "country": "не для этой страны",
        "season": "там не сезон",
        "age": "не для этого возраста",
        "category": "категория не для этого места",
        "filtered": "не проходит фильтры запроса",
        "in_cart": "уже в корзине",
        "bought": "уже куплено",
        "dismissed": "покупатель просил меньше такого",
        "excluded": "исключено запросом",
        "capped": "показано достаточно раз",
    },
}
"""Why an item is withheld, by language and reason."""


def say(reason: Reason, language: Language) -> str:
    """Why an item is offered, as a sentence."""
    sentence = OFFERED[language].get(reason.code)
    return sentence(reason.evidence) if sentence else reason.code.replace("_", " ")


def say_withheld(withheld: Filtered, language: Language) -> str:
    """How many items are withheld, and why."""
    why = WITHHELD[language].get(withheld.reason, withheld.reason.replace("_", " "))
    if language == "ru":
        return f"{russian(withheld.count, 'товар', 'товара', 'товаров')}: {why}"
    return f"{english(withheld.count, 'item', 'items')}: {why}"
