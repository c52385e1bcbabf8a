"""The fault harness: real servers, real processes, kills at random, and what must still be true.

`make faults` and `make faults-long` run it; docs/reliability.md says what it proves.
"""
