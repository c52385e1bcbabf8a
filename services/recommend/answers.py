"""What is added to an encoded answer for who asks for more: sentences, and items left over.

Behind service.py; an answer without either passes by here untouched.
"""

import msgspec

from services.recommend.knowledge import Choice
from services.recommend.listing_requests import Reranked
from services.recommend.reason_texts import say, say_withheld
from services.recommend.request import Asking, Language
from shared.decisions import Recommendation, encode_text

_encoder = msgspec.json.Encoder()
_answers = msgspec.json.Decoder(Reranked)


def encode(value: object) -> bytes:
    """Its JSON."""
    return _encoder.encode(value)


def finished(encoded: bytes, choice: Choice, asking: Asking) -> bytes:
    """The answer with all that was asked for."""
    if choice.left:
        encoded = with_left(encoded, choice)
    if asking.explain or asking.language is not None:
        encoded = with_texts(encoded, asking.language or "en")
    return encoded


def with_left(encoded: bytes, choice: Choice) -> bytes:
    """The answer with the items behind the ranked that may not be offered, each saying why."""
    answer = msgspec.json.decode(encoded, type=dict[str, msgspec.Raw])
    left = [
        f'{{"id":{encode_text(item)},"rank":{rank},"score":0.0,"explore":false,"reasons":[],'
        f'"offer":null,"withheld":{encode_text(reason)}}}'
        for rank, (item, reason) in enumerate(choice.left, start=len(choice.offers) + 1)
    ]
    answer["items"] = msgspec.Raw(f"[{','.join([*choice.offers, *left])}]".encode())
    return _encoder.encode(answer)


def with_texts(encoded: bytes, language: Language) -> bytes:
    """The answer with each reason also as a sentence."""
    answer = _answers.decode(encoded)
    add_texts(answer, language)
    return _encoder.encode(answer)


def add_texts(answer: Recommendation, language: Language) -> None:
    """Writes each reason's sentence beside it."""
    for item in answer.items:
        for reason in item.reasons:
            reason.text = say(reason, language)
    for withheld in answer.filtered:
        withheld.text = say_withheld(withheld, language)
