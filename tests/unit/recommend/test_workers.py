"""Processes behind one port: each gets its share of the connections, and nobody joins them."""

import socket
import sys
from contextlib import ExitStack, suppress

import pytest

from services.recommend.workers import bind_for
from shared.errors import SettingsError

CONNECTIONS = 200
LEAST = 50


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


def _waiting(listener: socket.socket, stack: ExitStack) -> int:
    count = 0
    with suppress(BlockingIOError):
        while True:
            stack.enter_context(listener.accept()[0])
            count += 1
    return count
