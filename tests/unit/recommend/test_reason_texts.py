"""Reasons as sentences: every code in both languages, with the right forms of nouns."""

# ruff: noqa: RUF001 - Russian is not mistaken Latin

import pytest

from services.recommend import explain, learned_reasons
from services.recommend.policy import REASON_NAMES
from services.recommend.reason_texts import OFFERED, WITHHELD, russian, say, say_withheld
from shared.decisions import Filtered, Reason

CODES = {
    value
    for module in (explain, learned_reasons)
    for name, value in vars(module).items()
    if name[0] != "_" and type(value) is str and name.isupper()
}
VIEWED = {"events": [{"fact": "item_viewed", "item": "sku-1", "at": None}]}


def test_every_code_stands_in_both_languages() -> None:
    assert len(CODES) > 12
    assert OFFERED["en"].keys() >= CODES
    assert OFFERED["en"].keys() == OFFERED["ru"].keys()
    names = set(filter(None, REASON_NAMES))
    assert WITHHELD["en"].keys() == WITHHELD["ru"].keys() == names


@pytest.mark.parametrize("language", ["en", "ru"])
def test_no_sentence_needs_all_of_its_evidence(language: str) -> None:
    for code in OFFERED[language]:
        text = say(Reason(code=code), language)  # type: ignore[arg-type]
        assert text.endswith(".")
        assert "None" not in text or code in {"affinity", "trending_here", "promotion"}
    assert say(Reason(code="not_known_yet"), "en") == "not known yet"


@pytest.mark.parametrize(
    ("count", "said"),
    [(0, "0 c"), (1, "1 a"), (2, "2 b"), (5, "5 c"), (11, "11 c"), (12, "12 c"), (14, "14 c"),
     (21, "21 a"), (22, "22 b"), (25, "25 c"), (101, "101 a"), (111, "111 c"), (112, "112 c")],
)  # fmt: skip
def test_russian_numbers(count: int, said: str) -> None:
    assert russian(count, "a", "b", "c") == said


@pytest.mark.parametrize(
    ("reason", "english", "russian_"),
    [
        (
            Reason(code="similar_sessions", evidence=VIEWED | {"sessions": 21}),
            "You viewed sku-1; in 21 such visits this was looked at too.",
            "Вы смотрели sku-1; в 21 таком посещении смотрели и этот товар.",
        ),
        (
            Reason(code="bought_together", evidence=VIEWED | {"orders": 2}),
            "You viewed sku-1; both are in 2 orders.",
            "Вы смотрели sku-1; вместе их заказали 2 раза.",
        ),
        (
            Reason(code="affinity", evidence={"field": "brand", "value": "Acme", "share": 0.25}),
            "You often choose the brand Acme (25 %).",
            "Вы часто выбираете: марка Acme (25 %).",
        ),
        (
            Reason(code="trending", evidence={"views": 40, "carts": 3, "purchases": 1}),
            "Wanted now: 40 views, 3 times in a cart, 1 purchase.",
            "Сейчас популярно: 40 просмотров, 3 добавления в корзину, 1 покупка.",
        ),
        (
            Reason(code="trending", evidence={"views": 2, "carts": 0, "purchases": 0}),
            "Wanted now: 2 views.",
            "Сейчас популярно: 2 просмотра.",
        ),
        (
            Reason(code="buy_again", evidence={"days_ago": 33, "interval_days": 31}),
            "You bought this 33 days ago; it is usually bought again after 31 days.",
            "Вы покупали этот товар 33 дня назад; обычно его покупают снова через 31 день.",
        ),
        (
            Reason(code="new_item", evidence={"days_ago": 5}),
            "New in the shop: it came 5 days ago.",
            "Новинка: появилась 5 дней назад.",
        ),
        (
            Reason(code="exploration", evidence={"random_share": 0.1}),
            "Drawn by lot, to measure what recommendations are worth.",
            "Выбрано по жребию, чтобы измерить пользу рекомендаций.",
        ),
    ],
)
def test_sentences(reason: Reason, english: str, russian_: str) -> None:
    assert say(reason, "en") == english
    assert say(reason, "ru") == russian_


def test_what_is_withheld() -> None:
    assert say_withheld(Filtered(reason="out_of_stock", count=1), "en") == "1 item: out of stock"
    assert say_withheld(Filtered(reason="bought", count=22), "ru") == "22 товара: уже куплено"
