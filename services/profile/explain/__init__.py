"""Explain: what is near firing for one customer, and what holds it back."""
