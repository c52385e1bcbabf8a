"""Dry run: the archived log once more, judged by a draft of scenarios; nothing is sent."""
