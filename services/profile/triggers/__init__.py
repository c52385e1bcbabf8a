"""Triggers: which moments there are, and the arbiter that says whether to speak of one."""
