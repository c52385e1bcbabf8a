"""An offer's reason in words, from its code and evidence. Pure."""

from collections.abc import Mapping
from typing import Any, Final

VERBS: Final = {
    "item_viewed": "viewed",
    "cart_added": "put into the cart",
    "purchased": "bought",
    "wishlist_added": "wished for",
    "offer_clicked": "clicked",
}


def in_words(reason: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """What the reason says to a person; a code that is not known here by its evidence."""
    code, evidence = reason["code"], reason["evidence"]
    events = evidence.get("events") or []
    match code:
        case "affinity":
            share = f"{evidence['share']:.0%} of interest"
            return f"likes {evidence['field'].replace('_', ' ')} {evidence['value']} ({share})"
        case "similar_sessions" if events:
            visits = _count(evidence["sessions"], "visit")
            return f"{_did(events[0], titles)}, as in {visits} that saw this"
        case "bought_together" if events:
            return f"{_did(events[0], titles)}; together in {_count(evidence['orders'], 'order')}"
        case "recently_viewed" if events:
            return _did(events[0], titles)
        case "exploration":
            return "drawn at random, to measure against"
    known = ", ".join(f"{name} {value}" for name, value in evidence.items())
    return f"{code.replace('_', ' ')}{': ' if known else ''}{known}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _did(event: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    title = titles.get(event["item"], event["item"])
    return f"{VERBS.get(event['fact'], event['fact'])} {title}"
