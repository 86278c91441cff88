"""YAML that every reader understands alike: block style, with each text in quotes."""

import json
from collections.abc import Iterator, Mapping
from typing import Any


def yaml_text(value: Mapping[str, Any], comment: str = "") -> str:
    """Return a value as a YAML document.

    Args:
        value: of mappings, lists, texts, numbers and booleans. Keys are plain words.
        comment: the first line, without its `#`.
    """
    head = [f"# {comment}"] if comment else []
    return "\n".join([*head, *_lines(value), ""])


def _lines(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping) and value:
        for key, below in value.items():
            yield from _under(f"{key}:", below)
    elif isinstance(value, list) and value:
        for each in value:
            first, *others = _lines(each)
            yield f"- {first}"
            yield from (f"  {line}" for line in others)
    else:
        yield json.dumps(value, ensure_ascii=False)  # a scalar of JSON is one of YAML


def _under(name: str, value: Any) -> Iterator[str]:
    if isinstance(value, Mapping | list) and value:
        yield name
        yield from (f"  {line}" for line in _lines(value))
    else:
        yield f"{name} {json.dumps(value, ensure_ascii=False)}"
