"""Fixtures for all tests: real servers where they are at hand, names that no other test uses."""

import uuid

import pytest

pytest_plugins = ["tests.fixtures.servers"]


@pytest.fixture
def namespace() -> str:
    """A prefix of topics and keys that only this test has."""
    return f"t{uuid.uuid4().hex[:10]}"
