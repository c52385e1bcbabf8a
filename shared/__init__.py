"""What all services agree on: facts, topics, keys, the profile value, decisions, wires."""

__version__ = "0.1.0"
