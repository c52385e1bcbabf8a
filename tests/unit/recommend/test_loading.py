"""The thread that loads models lets requests go first, and is the only one that does."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from services.recommend.models.keeper import NICE, step_back


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux's threads have priorities")
def test_one_thread_steps_back() -> None:
    before = os.getpriority(os.PRIO_PROCESS, 0)

    with ThreadPoolExecutor(1, initializer=step_back) as loading:
        lowered = loading.submit(os.getpriority, os.PRIO_PROCESS, 0).result()

    assert lowered == min(before + NICE, 19)
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
