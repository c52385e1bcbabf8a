"""Verify: the live state against a replay of the log, and the balance, both from the log alone."""
