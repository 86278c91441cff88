"""The JSON Schema of plan files, for editors."""

import json

from orchestrator.plan.plan import Plan


def schema_text() -> str:
    """Return the text of `docs/plan.schema.json`."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Plan.model_json_schema(),
        "title": "A losttick plan",
    }
    return json.dumps(schema, indent=2) + "\n"
