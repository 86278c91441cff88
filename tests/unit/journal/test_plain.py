import json
from typing import Any

import pytest

from orchestrator.findings.outcome import Outcome
from orchestrator.journal.plain import indented, plain


def test_plain_sorts_sets() -> None:
    assert plain({"a": frozenset({3, 1}), Outcome.LOST: (1, Outcome.MISSED)}) == {
        "a": [1, 3],
        "lost": [1, "missed"],
    }


def nested(depth: int) -> list[Any]:
    return [nested(depth - 1)] if depth else []


@pytest.mark.parametrize(
    "data",
    [
        {"a": [1, -2.5, 1e-7, 2**70, True, None, [], {}], "b": {"c": {"d": "x"}}},
        {"\x1b[2J\x9b\u202e": "\x00\x7fé\U0001f600</script>"},
        {"name": "caf\udce9"},
        nested(400),
    ],
    ids=["every kind", "hostile text", "no UTF-8", "deep"],
)
def test_indented_json_is_ascii_and_read_back_as_it_was(data: Any) -> None:
    text = indented(data)
    assert text.isascii()
    assert json.loads(text) == data
    assert len(text.splitlines()) == len(json.dumps(data, indent=2).splitlines())
