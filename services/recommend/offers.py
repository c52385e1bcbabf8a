"""Offers in the JSON they are answered in: what was chosen, why, and the promotion that holds.

Last step of `pipeline`. Pure.
"""

from typing import Final

from services.recommend.arrangement import Arranged
from services.recommend.candidates.pool import Pool, Shopper
from services.recommend.explain import Explainer, why_explored, why_in_share, why_promoted
from services.recommend.features import Matrix
from services.recommend.knowledge import Knowledge
from services.recommend.ranking import Ranked
from services.recommend.situation import Situation
from shared.decisions import OfferedItem, Reason, encode_numbers, encode_text

_NO_PROMOTION: Final = '],"offer":null'


def explain_items(
    situation: Situation,
    knowledge: Knowledge,
    shopper: Shopper,
    pool: Pool,
    shown: Ranked,
    arranged: Arranged,
    now: int,
) -> tuple[list[str], Matrix]:
    """The chosen as offers, with their reasons and promotions; and how much each feature moved
    each one's score."""
    stock, catalogue = knowledge.stock, knowledge.stock.catalogue
    explainer, moved = Explainer(situation, shopper, knowledge, now), shown.moved
    rows, scores = shown.rows.tolist(), encode_numbers(shown.scores.tolist())
    numbers = stock.number_of[shown.rows]
    explained = explainer.explain(moved, pool, numbers, rows)
    _add_reasons(explained, arranged, knowledge, rows)
    ids = stock.id_texts
    offers = [_NO_PROMOTION] * len(rows)
    if catalogue.has_offers:
        offers = [promotion(knowledge, now, row) for row in rows]
    explored = ["false"] * len(rows)
    if arranged.wins:
        explored[arranged.slot] = "true"
    offered = zip(range(1, len(rows) + 1), rows, scores, explored, explained, offers, strict=True)
    made = [
        f'{{"id":{ids[row]},"rank":{rank},"score":{score},"explore":{explore},'
        f'"reasons":[{reasons}{offer}}}'
        for rank, row, score, explore, reasons, offer in offered
    ]
    return made, moved


def _add_reasons(
    explained: list[str], arranged: Arranged, knowledge: Knowledge, rows: list[int]
) -> None:
    """Who is shown to be learned about, or has a promised share, has that for a first reason."""
    if arranged.wins:
        slot = arranged.slot
        why = why_explored(arranged.wins, *knowledge.posteriors.known(rows[slot]))
        explained[slot] = f"{encode_text(why)},{explained[slot]}"
    for place, promoted in enumerate(arranged.promoted):
        if promoted:
            explained[place] = (
                f"{why_in_share(knowledge.stock.id_texts[rows[place]])},{explained[place]}"
            )


def promotion(knowledge: Knowledge, now: int, row: int) -> str:
    """How an offer's JSON goes on behind its reasons: with the best promotion that holds now."""
    catalogue = knowledge.stock.catalogue
    promotions = catalogue.offers_for(catalogue.ids[row], now)
    if not promotions:
        return _NO_PROMOTION
    reason, offer = encode_text(why_promoted(promotions[0])), encode_text(promotions[0].offer)
    return f',{reason}],"offer":{offer}'


def offer_item(
    knowledge: Knowledge, row: int, rank: int, reason: Reason, now: int, *, explore: bool = False
) -> str:
    """An offer that was not ranked, with the best promotion that holds for it now."""
    catalogue = knowledge.stock.catalogue
    item = catalogue.ids[row]
    promotions = catalogue.offers_for(item, now)
    return encode_text(
        OfferedItem(
            id=item,
            rank=rank,
            score=0.0,
            explore=explore,
            reasons=[reason, *map(why_promoted, promotions[:1])],
            offer=promotions[0].offer if promotions else None,
        )
    )
