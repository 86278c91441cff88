"""Lines that stand twice, are missing or were moved are noticed."""

import json
import re
from pathlib import Path

import pytest

from orchestrator.findings.outcome import Outcome
from orchestrator.journal.file import Journal, JournalFormatError
from orchestrator.journal.fold import read_state
from orchestrator.journal.records import Record
from orchestrator.journal.trial_record import TrialRecord
from orchestrator.plan.load import build_plan
from tests.support.records import heads, save_record

PLAN = build_plan({"axes": {"accel": "kvm"}}, "test")
(CELL,) = PLAN.cells(auto=None)  # type: ignore[arg-type]  # the plan leaves nothing open
TRIAL = TrialRecord(CELL.id, "save1", Outcome.IMMEDIATE, (0.1, 0.2, 0.3))
RECORDS: list[Record] = [*heads(PLAN), save_record(CELL, "save1"), *[TRIAL] * 4]

#: The number of the first trial's line.
FIRST = len(RECORDS) - 3


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        for record in RECORDS:
            journal.write(record)
    return path


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines(keepends=True)


def without_numbers(found: list[str]) -> list[str]:
    """Return lines as they were before they had numbers."""
    return [re.sub(r'"seq":\d+,', "", line) for line in found]


def refusal(path: Path, found: list[str]) -> str:
    path.write_text("".join(found))
    with pytest.raises(JournalFormatError) as caught:
        read_state(path)
    return str(caught.value).partition(f"{path}: ")[2]


def test_each_record_has_the_number_of_its_line(path: Path) -> None:
    assert [json.loads(line)["seq"] for line in lines(path)] == [*range(1, len(RECORDS) + 1)]
    assert read_state(path).cells[CELL.id].trials == 4


def test_a_trial_that_stands_twice_is_refused_and_not_counted_twice(path: Path) -> None:
    found = lines(path)
    said = refusal(path, [*found[:FIRST], found[FIRST - 1], *found[FIRST:]])
    assert said == (
        f"line {FIRST + 1}: it is record {FIRST} of the run: it or a line before it stands twice"
    )


@pytest.mark.parametrize(("missing", "words"), [(1, "1 record is"), (2, "2 records are")])
def test_a_record_that_is_missing_is_noticed(path: Path, missing: int, words: str) -> None:
    found = lines(path)
    said = refusal(path, found[: FIRST - 1] + found[FIRST - 1 + missing :])
    assert said == f"line {FIRST}: {words} missing before it"


def test_two_lines_that_were_swapped_are_noticed(path: Path) -> None:
    found = lines(path)
    found[FIRST], found[FIRST + 1] = found[FIRST + 1], found[FIRST]
    assert refusal(path, found) == f"line {FIRST + 1}: 1 record is missing before it"


def test_a_line_without_a_number_among_lines_with_one_is_noticed(path: Path) -> None:
    found = lines(path)
    found[FIRST] = without_numbers(found)[FIRST]
    assert refusal(path, found).startswith(f"line {FIRST + 1}: it has no sequence number")


@pytest.mark.parametrize("number", ['"5"', "5.0", "true", "[]"])
def test_a_number_that_is_none(path: Path, number: str) -> None:
    found = lines(path)
    found[FIRST] = re.sub(r'"seq":\d+', f'"seq":{number}', found[FIRST])
    assert f"line {FIRST + 1}: its sequence number is " in refusal(path, found)


def test_lines_that_were_written_anew_have_their_numbers(path: Path) -> None:
    """Its spaces and the order of its fields may differ."""
    found = [json.dumps(dict(sorted(json.loads(line).items()))) + "\n" for line in lines(path)]
    path.write_text("".join(found))
    assert read_state(path).cells[CELL.id].trials == 4
    said = refusal(path, [*found[:FIRST], found[FIRST - 1], *found[FIRST:]])
    assert "stands twice" in said


def test_a_journal_from_before_numbers_is_read_and_continued_with_numbers(path: Path) -> None:
    path.write_text("".join(without_numbers(lines(path))) + '{"record":"trial","torn')
    assert read_state(path).cells[CELL.id].trials == 4
    with Journal(path, resume=True) as journal:
        journal.write(TRIAL)
        journal.write(TRIAL)
    assert read_state(path).cells[CELL.id].trials == 6
    assert [json.loads(line).get("seq") for line in lines(path)[-3:]] == [
        None, len(RECORDS) + 1, len(RECORDS) + 2
    ]  # fmt: skip
    found = lines(path)
    assert "1 record is missing before it" in refusal(path, found[:-4] + found[-3:])


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ('"vcpus":[{', '"vcpus":[],"x":[{', "its values make no sense (IndexError: "),
        ('"phase":0.5', '"phase":NaN', "cannot convert float NaN to integer"),
        ('"tag":"save1"', '"tag":' + "[" * 20_000 + "]" * 20_000, "nested too deeply"),
    ],
)
def test_a_damaged_line_that_is_still_a_record_is_refused(
    path: Path, before: str, after: str, words: str
) -> None:
    found = lines(path)
    assert before in found[FIRST - 2]
    found[FIRST - 2] = found[FIRST - 2].replace(before, after)
    said = refusal(path, found)
    assert said.startswith(f"line {FIRST - 1}: ")
    assert words in said
