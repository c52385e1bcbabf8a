"""Rebuild: all of Redis from the log, into a generation beside the live one, then a swap."""
