from dataclasses import dataclass

import pytest

from orchestrator.errors import InputError
from orchestrator.registry import Registry, UnknownNameError


@dataclass(frozen=True)
class Fruit:
    name: str


def fruits() -> Registry[Fruit]:
    return Registry("fruit", [Fruit("apple"), Fruit("pear")])


def test_entries_keep_their_order() -> None:
    assert fruits().names == ["apple", "pear"]
    assert [fruit.name for fruit in fruits()] == ["apple", "pear"]
    assert fruits()["pear"] == Fruit("pear")


def test_an_unknown_name_is_the_user_s_and_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"no fruit 'fig'\. Known: apple, pear") as caught:
        fruits()["fig"]
    assert isinstance(caught.value, InputError)
    assert (caught.value.kind, caught.value.name) == ("fruit", "fig")
    assert caught.value.known == ("apple", "pear")


def test_a_name_is_taken_once() -> None:
    with pytest.raises(ValueError, match="there is a fruit named 'pear' already"):
        fruits().add(Fruit("pear"))


def test_an_entry_leaves_with_its_context_even_after_an_error() -> None:
    known = fruits()
    with pytest.raises(ZeroDivisionError), known.added(Fruit("fig")) as fig:
        assert known["fig"] is fig
        _ = 1 / 0
    assert known.names == ["apple", "pear"]
