"""Free ports on this machine, for the servers an embedded run starts."""

import random
import socket

HOST = "127.0.0.1"

LEAST = 10_000
GREATEST = 32_000
"""Below what systems give to outgoing connections: one of those could take a server's port while
the server restarts, even that of a client which keeps trying to reach it."""

_draw = random.SystemRandom()


def free_ports(count: int) -> list[int]:
    """`count` different ports that nobody listened on a moment ago.

    Another program may take one before it is used; a server that cannot bind says so at start.
    """
    found: list[int] = []
    while len(found) < count:
        port = _draw.randint(LEAST, GREATEST)
        if port not in found and refused(port) is None:
            found.append(port)
    return found


def free_port() -> int:
    """One such port."""
    return free_ports(1)[0]


def refused(port: int) -> str | None:
    """Why a server cannot listen on a port now; None: it can."""
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
        try:
            attempt.bind((HOST, port))
        except OSError as error:
            return error.strerror
    return None


def answers(port: int, host: str = HOST) -> bool:
    """Whether something accepts connections there now."""
    with socket.socket() as attempt:
        attempt.settimeout(0.5)
        return attempt.connect_ex((host, port)) == 0
