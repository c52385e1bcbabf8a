"""Named timers: when a moment comes that follows from a profile and the calendar alone."""
