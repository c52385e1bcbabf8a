"""Why what is explained may not be what the service does. Pure.

The book is the terminal's; the state of a customer does not say by which one the service goes, but
what it has done for the customer may show that it is another.
"""

from collections.abc import Iterator

from services.profile.identity import Identity
from services.profile.moments.around import Around
from services.profile.moments.waiting import NO_SCENARIOS
from services.profile.scenarios.book import Book
from shared import events as facts


def doubts(identity: Identity, book: Book, around: Around) -> Iterator[str]:
    """One sentence for each."""
    stated = [facts.decode(entry.value) for entry in identity.outbox]
    versions = {fact.version for fact in stated if isinstance(fact, facts.MessageDecided)}
    if others := sorted(versions - {book.version, ""}):
        yield f"the service goes by version {', '.join(others)}, this is {book.version}"
    contact = identity.profile.contact
    scenarios = {each.scenario for each in identity.waiting}
    scenarios |= {each.scenario for each in contact.holds.values()}
    if strange := sorted(scenarios - NO_SCENARIOS - book.by_name.keys()):
        yield (
            f"moments wait for what this file does not have: {', '.join(strange)}; "
            "the service may go by another one"
        )
    known = {each.name for each in (*book.segments, *book.stages)}
    places = {*contact.segments, *([contact.stage] if contact.stage else [])}
    if strange := sorted(places - known):
        yield (
            f"the customer is in segments or a stage that this file does not have: "
            f"{', '.join(strange)}; the service may go by another one"
        )
    if not around.items:
        yield "no catalogue was read: nothing is known of items"
