"""Fixtures for all tests: real servers where they are at hand, names that no other test uses."""

import uuid

import pytest
from hypothesis import settings

# The same examples on every run, and no failing because a machine is slow.
settings.register_profile("attune", deadline=None, derandomize=True)
settings.load_profile("attune")

pytest_plugins = ["tests.fixtures.servers", "tests.fixtures.redis_cluster"]


@pytest.fixture
def namespace() -> str:
    """A prefix of topics and keys that only this test has."""
    return f"t{uuid.uuid4().hex[:10]}"
