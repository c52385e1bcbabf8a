"""The examples of OpenAPI are requests that are taken, and answers that are given."""

from typing import Any

import msgspec
import pytest

from services.commands.contracts import openapi
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


def test_admin_endpoints_say_how_they_refuse_and_what_fields_mean() -> None:
    paths = openapi.document()["paths"]
    listed = paths["/v1/admin/items"]["get"]["responses"]
    assert "422" not in listed
    assert "error" in listed["400"]["content"]["application/json"]["schema"]["properties"]
    body = paths["/v1/admin/items/{id_}"]["put"]["requestBody"]["content"]["application/json"]
    for name in ("seasons", "min_age", "margin", "cost"):
        assert f"`{name}`" in body["schema"]["description"]
