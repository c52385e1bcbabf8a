"""Numbers that look drawn and follow from names alone: the same question, the same answer. Pure."""

import hashlib


def uniform(seed: str, *names: str) -> float:
    """A number in (0, 1) that follows from the seed and the names alone."""
    digest = hashlib.blake2b("\x1f".join((seed, *names)).encode(), digest_size=6).digest()
    # 48 bits and a half: neither end is reached, and no rounding reaches it
    return (int.from_bytes(digest, "big") + 0.5) / 2.0**48
