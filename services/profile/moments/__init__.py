"""Moments: what a customer may be spoken to about, from the fact that begins one to the verdict."""
