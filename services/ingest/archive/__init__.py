"""`attune archive`: `events` and `decisions` into Delta tables, each record exactly once."""
