"""Free ports on this machine, for the servers an embedded run starts."""

import socket

HOST = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    """`count` different ports that nobody listened on a moment ago.

    Another program may take one before it is used; a server that cannot bind says so at start.
    """
    sockets = [socket.socket() for _ in range(count)]
    try:
        for held in sockets:
            held.bind((HOST, 0))
        return [held.getsockname()[1] for held in sockets]
    finally:
        for held in sockets:
            held.close()


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
