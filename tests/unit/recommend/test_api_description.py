"""The examples of OpenAPI are requests that are taken, and answers that are given."""

from typing import Any

import msgspec
import pytest

from services.recommend.api_description import ENDPOINTS, Endpoint
from services.recommend.filters import rules_of
from services.recommend.operations import BESIDE, RECOMMEND
from services.recommend.request import RecommendRequest


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.path)
def test_examples_are_of_their_models(endpoint: Endpoint) -> None:
    examples: list[tuple[Any, dict[str, Any]]] = [endpoint.answer]
    if endpoint.request is not None:
        examples.append(endpoint.request)
    for model, example in examples:
        taken = msgspec.convert(example, model)
        if isinstance(taken, RecommendRequest):
            rules_of(taken.filters)
        # nothing in the example is unknown to the model
        assert msgspec.json.decode(msgspec.json.encode(taken)).keys() >= example.keys()


def test_every_endpoint_is_described() -> None:
    operations = {each.path: each for each in (RECOMMEND, *BESIDE)}
    assert operations.keys() == {endpoint.path for endpoint in ENDPOINTS}
    for endpoint in ENDPOINTS:
        operation = operations[endpoint.path]
        assert (endpoint.request is None) == (operation.body is None)
        assert (endpoint.query is None) == (operation.query is None)
