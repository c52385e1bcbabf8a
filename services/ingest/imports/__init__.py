"""Exports of other systems, sent through a declared mapping down the path of live events."""
