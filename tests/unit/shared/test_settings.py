"""Settings read from the environment, and refused with the variable's name."""

import pytest

from shared.errors import SettingsError
from shared.settings import Settings


@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_a_choice_is_one_of_its_words(mode: str) -> None:
    assert Settings.from_environment({"ATTUNE_CLOUDEVENTS": mode}).cloudevents == mode


def test_another_word_is_refused() -> None:
    with pytest.raises(SettingsError, match="ATTUNE_CLOUDEVENTS: binary or structured, not 'xml'"):
        Settings.from_environment({"ATTUNE_CLOUDEVENTS": "xml"})
