"""Settings of ingest: what is taken, what is refused, naming the variable."""

import pytest

from services.ingest.settings import IngestSettings
from shared.errors import SettingsError


def test_defaults_and_what_the_environment_says() -> None:
    assert IngestSettings.from_environment({}).shop_currency is None
    found = {"ATTUNE_INGEST_CURRENCY": "GBP", "ATTUNE_INGEST_PORT": "9200"}
    settings = IngestSettings.from_environment(found)
    assert (settings.shop_currency, settings.port) == ("GBP", 9200)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ATTUNE_INGEST_CURRENCY", "pounds"),
        ("ATTUNE_INGEST_MAX_RECORDS", "0"),
        ("ATTUNE_INGEST_MAX_RECORDS", "many"),
        ("ATTUNE_INGEST_PORT", "70000"),
    ],
)
def test_refused_values(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        IngestSettings.from_environment({name: value})
