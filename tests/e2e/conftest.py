"""The running system of a session, and the shop that each test talks to it as."""

from tests.fixtures.systems import shop, shopper, system

__all__ = ["shop", "shopper", "system"]
