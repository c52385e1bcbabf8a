"""What a good book says for nothing: `attune scenarios check` warns of it. Pure.

A budget for a tag that is misspelt holds nobody back, and nothing else would ever tell.
"""

from services.profile.arbiter.policy import DAY_MS, Budget
from services.profile.scenarios.book import Book


def idle(book: Book) -> list[str]:
    """A sentence for each budget and quiet channel that no scenario falls under."""
    tags = {tag for each in book.scenarios for tag in each.tags}
    channels = {channel for each in book.scenarios for channel in each.channels}
    told = []
    for budget in book.policy.budgets:
        if budget.tag is not None and budget.tag not in tags:
            told.append(
                f"{_named(budget)} holds nothing back: no scenario has the tag {budget.tag}"
            )
        if budget.channel is not None and budget.channel not in channels:
            told.append(f"{_named(budget)} holds nothing back: no scenario uses {budget.channel}")
    if book.policy.quiet is not None:
        told += [
            f"quiet hours name the channel {channel}, which no scenario uses"
            for channel in sorted(book.policy.quiet.channels - channels)
        ]
    return told


def _named(budget: Budget) -> str:
    return f"the budget of {budget.messages} in {budget.window_ms / DAY_MS:g} days"
