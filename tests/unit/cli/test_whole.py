"""Whole numbers, as people write them on the command line and in plans."""

import pytest
import typer

from orchestrator.cli.whole import Whole, whole_number
from orchestrator.plan.faults import PlanError
from orchestrator.plan.load import build_plan


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("300", 300), ("1e9", 10**9), ("2.5e3", 2500), ("10_000", 10_000), ("10,000", 10_000),
        ("-3", -3), (" 7 ", 7), ("12,345,678", 12_345_678), ("1.0", 1),
    ],
)  # fmt: skip
def test_a_whole_number(text: str, number: int) -> None:
    assert whole_number(text) == number
    assert Whole()(text) == number


@pytest.mark.parametrize(
    "text",
    ["", "many", "1.5", "1,5", "1e-3", "nan", "inf", "0x10", "1e99", "1e999999999", "1,2,3"],
)
def test_no_whole_number(text: str) -> None:
    assert whole_number(text) is None
    with pytest.raises(typer.BadParameter, match="is not a whole number"):
        Whole()(text)


def test_the_limits_are_said_in_numbers() -> None:
    assert Whole(1, 5)("5") == 5
    with pytest.raises(typer.BadParameter, match=r"^1e9 is more than 100,000,000"):
        Whole(1, 100_000_000)("1e9")
    with pytest.raises(typer.BadParameter, match=r"^0 is less than 1"):
        Whole(1)("0")


def test_a_plan_takes_the_same_form() -> None:
    plan = build_plan({"limits": {"trials": 1e6}, "axes": {"vcpus": [2.0]}, "seed": 3.0}, "test")
    assert (plan.limits.trials, plan.axes.vcpus, plan.seed) == (1_000_000, [2], 3)
    assert {type(plan.limits.trials), type(plan.seed)} == {int}


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"trials": "300"}, "limits.trials: it must be a whole number, such as 300 or 1e6"),
        ({"trials": 1.5}, "limits.trials: it must be a whole number, such as 300 or 1e6"),
        ({"trials": True}, "limits.trials: it must be a whole number, such as 300 or 1e6"),
        ({"trials": 1e9}, "limits.trials: it must be at most 10,000,000 (given: 1000000000)"),
        ({"trials": 0}, "limits.trials: it must be at least 1 (given: 0)"),
        ({"seconds": "long"}, "limits.seconds: it must be a number, such as 0.01 (given: 'long')"),
    ],
)
def test_a_fault_of_a_number_is_said_in_words(limits: dict[str, object], words: str) -> None:
    with pytest.raises(PlanError) as caught:
        build_plan({"limits": limits}, "test")
    assert caught.value.faults[0].startswith(words)
