"""Generates what stands in docs about wires and settings from the code: see `make docs`."""
