"""docs/scenarios.schema.json: what editors check scenarios.yaml against. Pure."""

from typing import Any

from services.profile.scenarios.declared import FILE


def document() -> dict[str, Any]:
    """JSON schema, draft 2020-12. It knows fields and their values; `attune scenarios check` knows
    expressions, names and what does not go together besides."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Attune scenarios",
        "description": "Moments, and what may be said of them: scenarios.yaml.",
        **FILE.schema(),
    }
