"""Scenarios: which moments there are, declared in scenarios.yaml, read, checked and held."""
