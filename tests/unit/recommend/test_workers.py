"""Processes behind one port: each gets its share of the connections, and nobody joins them."""

import socket
import subprocess
import sys
from contextlib import ExitStack, suppress

import pytest

from services.recommend.workers import bind_for
from shared.errors import SettingsError

CONNECTIONS = 200
LEAST = 50
FORKS = """
import os, socket
from services.recommend.workers import fork
tell = lambda own: print(os.getsid(0) == os.getpid(), flush=True)
(child,) = fork([socket.socket(), socket.socket()], tell)
os.waitpid(child, 0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shares connections out")
def test_connections_are_shared_out() -> None:
    with ExitStack() as stack:
        listeners = [stack.enter_context(one) for one in bind_for("127.0.0.1", 0, 2)]
        for listener in listeners:
            listener.listen(CONNECTIONS)
            listener.setblocking(False)
        port = listeners[0].getsockname()[1]
        for _ in range(CONNECTIONS):
            stack.enter_context(socket.create_connection(("127.0.0.1", port)))

        assert min(_waiting(listener, stack) for listener in listeners) > LEAST


def test_a_port_that_is_taken_is_not_shared() -> None:
    with ExitStack() as stack:
        listeners = [stack.enter_context(one) for one in bind_for("127.0.0.1", 0, 2)]
        for listener in listeners:
            listener.listen()

        with pytest.raises(SettingsError):
            bind_for("127.0.0.1", listeners[0].getsockname()[1], 2)


def test_each_has_a_session_of_its_own() -> None:
    said = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, check=True)

    assert said.stdout == b"True\n"


def _waiting(listener: socket.socket, stack: ExitStack) -> int:
    count = 0
    with suppress(BlockingIOError):
        while True:
            stack.enter_context(listener.accept()[0])
            count += 1
    return count
