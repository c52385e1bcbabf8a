"""Reading topics anew where the log fell silent."""

import pytest

from services.simulator import topic_reader
from services.simulator.topic_reader import READINGS, read_again


@pytest.mark.parametrize("silent", [0, READINGS - 1, READINGS])
async def test_a_log_that_fell_silent_is_read_again(
    silent: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topic_reader, "PAUSE_S", 0.0)
    times = 0

    async def read() -> str:
        nonlocal times
        times += 1
        if times <= silent:
            raise TimeoutError
        return "all"

    if silent < READINGS:
        assert await read_again(read) == "all"
    else:
        with pytest.raises(TimeoutError):
            await read_again(read)
    assert times == min(silent + 1, READINGS)
