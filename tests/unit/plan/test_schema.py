import json

import pytest
from pydantic import BaseModel

from orchestrator.plan.axes import Axes
from orchestrator.plan.goals import Goals
from orchestrator.plan.plan import Plan
from orchestrator.plan.schema import schema_text
from tests.support.places import DOCS


def test_the_published_schema_is_that_of_the_model() -> None:
    """Else: `losttick plan schema > docs/plan.schema.json`."""
    published = json.loads((DOCS / "plan.schema.json").read_text())
    assert published == json.loads(schema_text())


@pytest.mark.parametrize(("model", "name"), [(Plan, None), (Axes, "Axes"), (Goals, None)])
def test_the_schema_says_what_every_setting_is(model: type[BaseModel], name: str | None) -> None:
    for setting, field in model.model_fields.items():
        assert field.description, f"{name or model.__name__}.{setting}"


def test_the_schema_takes_one_value_or_several() -> None:
    axes = json.loads(schema_text())["$defs"]["Axes"]["properties"]
    for name, axis in axes.items():
        one, several = axis["anyOf"]
        assert several["items"] == one, name
    assert axes["phase"]["default"] == ["random"]
