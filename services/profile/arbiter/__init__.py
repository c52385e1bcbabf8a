"""The arbiter: whether, when and by which channel anything may be said to a customer at all."""
