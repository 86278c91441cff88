"""The journal's file: written and read back, torn, foreign, newer, corrupt."""

import asyncio
import errno
import json
import os
import random
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.bugs.exposure import ApicvTrace
from orchestrator.errors import InputError
from orchestrator.findings.cause import Cause, Diagnosis
from orchestrator.findings.outcome import FirstTick, Outcome, TrialResult, VcpuResult
from orchestrator.journal.file import Journal, JournalError, JournalFormatError, read_journal
from orchestrator.journal.fold import read_state
from orchestrator.journal.line import decode, encode
from orchestrator.journal.records import (
    FORMAT,
    ConsoleRecord,
    FailureRecord,
    InstanceRecord,
    InterruptedRecord,
    Record,
    RunRecord,
    TraceRecord,
    VerdictRecord,
)
from orchestrator.journal.trial_record import Role, TrialRecord, trial_record
from orchestrator.plan.load import build_plan
from orchestrator.process.background import in_thread
from orchestrator.results.summary import summary
from orchestrator.verdict.run import judge_run
from tests.support.records import heads, save_record

PLAN = build_plan({"axes": {"accel": "kvm", "vcpus": 2}}, "test")
(CELL,) = PLAN.cells(auto=None)  # type: ignore[arg-type]  # the plan leaves nothing open
FIRST = FirstTick(0.123456, 0.2, 3.14159)


def written(path: Path, *records: Record) -> Path:
    with Journal(path) as journal:
        for record in records:
            journal.write(record)
    return path


def trial(result: TrialResult, role: Role = Role.HOST, attempt: int = 1) -> TrialRecord:
    return trial_record("kvm/one-shot/xapic/hmp/20ms/25loads", role, 7, attempt, "save12", result)


def of(*parts: VcpuResult, telling: int = 0) -> TrialResult:
    return TrialResult(parts, telling, 0, 24_815_064)


PLAIN = VcpuResult(Outcome.IMMEDIATE, FIRST, ticks_after_load=2)
DEAD = VcpuResult(Outcome.LOST, why="no tick", vcpu=1)


def test_every_kind_of_record_reads_as_it_was_written(tmp_path: Path) -> None:
    records = [
        *heads(PLAN),
        save_record(CELL, "save1", ineligible=("off phase",)),
        trial(of(PLAIN)),
        trial(of(PLAIN), role=Role.CONTROL),
        trial(of(PLAIN, DEAD, telling=1)),
        TraceRecord(CELL.id, ApicvTrace(True, 3, 0)),
        ConsoleRecord(CELL.id, 99, garbled=1),
        FailureRecord(CELL.id, "it broke", ends_cell=True),
        VerdictRecord("clean", {CELL.id: "clean"}, "so it is"),
        InterruptedRecord("KeyboardInterrupt"),
    ]
    read = list(read_journal(written(tmp_path / "journal.jsonl", *records)))
    for before, after in zip(records, read, strict=True):
        if hasattr(after, "at"):
            assert after.at.endswith("Z")
            after = type(after)(**{f: getattr(after, f) for f in after.__slots__ if f != "at"})
        assert after == before


def test_a_plain_trial_has_a_short_line() -> None:
    line = encode(trial(of(PLAIN)), 7)
    assert len(line) < 190
    assert set(json.loads(line)) == {
        "record", "seq", "at", "cell", "save", "outcome", "first_tick"
    }  # fmt: skip
    read = decode(line)
    assert isinstance(read, TrialRecord)
    assert (read.first_tick, read.ticks_after_load, read.attempt) == ((0.1235, 0.2, 3.142), 2, 1)


@pytest.mark.parametrize(
    "record",
    [
        trial(of(DEAD)),
        trial(of(PLAIN), attempt=2),
        trial(of(PLAIN), role=Role.CONTROL),
        trial(of(PLAIN, PLAIN)),
        trial(TrialResult((PLAIN,), stale_bytes=3)),
        trial(of(VcpuResult(Outcome.IMMEDIATE, FIRST, ticks_after_load=1))),
        trial(of(VcpuResult(Outcome.INDISTINCT, FIRST, why="QEMU waited", ticks_after_load=2))),
        TrialRecord("c", "s", Outcome.LOST, diagnoses=(Diagnosis(Cause.PENDING, "so", 1),)),
        TrialRecord("c", "s", Outcome.LOST, evidence="evidence/0001-host-lost"),
    ],
)
def test_a_trial_that_is_not_plain_loses_nothing(record: TrialRecord) -> None:
    assert decode(encode(record, 7)) == record


def test_a_name_that_is_not_utf_8_does_not_end_the_run(tmp_path: Path) -> None:
    failure = FailureRecord("c", "making /tmp/\udcff: No space left on device")
    instance = InstanceRecord("c", Role.HOST, 1, ("/opt/ä\udc80/qemu", "-m", "1"), (7,), (None,))
    read = list(read_journal(written(tmp_path / "journal.jsonl", *heads(PLAN), failure, instance)))
    assert isinstance(read[-2], FailureRecord)
    assert read[-2].error == r"making /tmp/\udcff: No space left on device"
    assert isinstance(read[-1], InstanceRecord)
    assert read[-1].argv == (r"/opt/ä\udc80/qemu", "-m", "1")


@pytest.mark.parametrize("vcpu", [0, 1])
def test_a_plain_trial_has_the_times_between_ticks_that_are_wanted(vcpu: int) -> None:
    parts = (replace(PLAIN, gaps=(1.0001,)), replace(PLAIN, gaps=(0.9999, 1.0), vcpu=1))
    record = trial_record(CELL.id, Role.HOST, 7, 1, "save12", of(*parts), gaps_of={vcpu})
    assert decode(encode(record, 7)) == record
    assert [part.gaps for part in record.vcpus] == [
        part.gaps if part.vcpu == vcpu else () for part in parts
    ]
    alone = trial_record(CELL.id, Role.HOST, 7, 1, "save12", of(parts[0]), gaps_of={vcpu})
    assert alone.gaps == (parts[0].gaps if vcpu == 0 else ())
    assert decode(encode(alone, 7)) == alone


def test_the_vcpus_of_a_trial_come_in_their_order() -> None:
    read = decode(encode(trial(of(PLAIN, DEAD, telling=1)), 7))
    assert isinstance(read, TrialRecord)
    assert [(part.vcpu, part.outcome) for part in read.vcpus] == [(0, "immediate"), (1, "lost")]
    assert (read.vcpu, read.outcome) == (1, Outcome.LOST)


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    path = written(tmp_path / "journal.jsonl", *heads(PLAN))
    whole = path.read_bytes()
    for cut in range(1, len(whole.splitlines(keepends=True)[-1]) + 1):
        path.write_bytes(whole[:-cut])
        assert len(list(read_journal(path))) == len(heads(PLAN)) - 1


@pytest.mark.parametrize("records", [(), heads(PLAN)], ids=["first", "later"])
def test_a_line_that_never_ends_is_refused(tmp_path: Path, records: Sequence[Record]) -> None:
    path = written(tmp_path / "journal.jsonl", *records)
    os.truncate(path, 10 << 30)
    refused = rf"journal.jsonl: line {len(records) + 1}: it has more than 67,108,864 bytes"
    with pytest.raises(JournalFormatError, match=refused):
        read_state(path)


def test_a_journal_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text("precious")
    with pytest.raises(JournalError, match=r"File exists.*--out"):
        Journal(path)
    assert path.read_text() == "precious"


def test_a_record_that_is_written_in_part_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full for a moment leaves no line that the next record would be joined to."""
    path, write = tmp_path / "journal.jsonl", os.write
    with Journal(path) as journal:
        for record in heads(PLAN):
            journal.write(record)

        def full(fd: int, data: bytes) -> int:
            if len(data) > 20:
                return write(fd, data[:20])
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patched, pytest.raises(JournalError, match="No space left"):
            patched.setattr(os, "write", full)
            journal.write(save_record(CELL, "save1"))
        journal.write(InterruptedRecord("JournalError"))
    assert [type(record) for record in read_journal(path)] == [
        *map(type, heads(PLAN)), InterruptedRecord
    ]  # fmt: skip


async def test_reading_a_long_journal_ends_when_nobody_waits_for_it(tmp_path: Path) -> None:
    """A SIGTERM ends a run that is about to be resumed, too."""
    records = (TraceRecord(CELL.id, ApicvTrace(True, 3, 0)) for _ in range(5000))
    path = written(tmp_path / "journal.jsonl", *heads(PLAN), *records)
    began, may_go_on = threading.Event(), threading.Event()
    seen: list[Record] = []

    def read() -> None:
        for record in read_journal(path):
            seen.append(record)
            began.set()
            may_go_on.wait()

    task = asyncio.create_task(in_thread(read))
    await asyncio.to_thread(began.wait)
    task.cancel()
    await asyncio.sleep(0)  # the thread is told that nobody waits
    may_go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(seen) < 2000


RUN = '{"record":"run","format":1,"losttick":"0","seed":1,"guests":{}}\n'


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("", 1, "the file is empty"),
        ("Dear diary\n", 1, "does not begin the journal of a losttick run: it is not JSON"),
        ('{"record":"run"', 1, "does not begin the journal"),
        ('{"level":"info"}\n', 1, "does not begin the journal"),
        ("[1]\n", 1, "does not begin the journal"),
        ('{"record":"run","seed":1}\n', 1, "names no format"),
        (RUN.replace("1", "2", 1), 1, "in format 2, and this losttick reads formats up to 1"),
        ('{"record":"run","format":9,"new":{}}\n', 1, "in format 9"),
        (RUN + "\x00\x00\n" + RUN, 2, "it is not JSON"),
        (RUN + '{"record":"song"}\n', 2, "no record of the kind 'song' is known"),
        (RUN + '{"kind":"trial"}\n', 2, "it has no `record`"),
        (RUN + '{"record":"restart","cell":1,"why":""}\n', 2, "cell: Input should be a valid str"),
        (RUN + '{"record":"trial","at":"","cell":"c","save":"s"}\n', 2, "outcome: Field required"),
        (RUN + '{"record":"trial","cell":"c","save":\n', 2, "it is not JSON"),
        (RUN, 2, "there is no plan before it"),
    ],
)
def test_what_cannot_be_understood_is_refused_with_file_line_and_reason(
    text: str, line: int, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text(text)
    with pytest.raises(JournalFormatError) as caught:
        read_state(path)
    assert isinstance(caught.value, InputError)
    assert caught.value.line == line
    assert str(caught.value).startswith(f"reading the journal {path}: line {line}: ")
    assert reason in str(caught.value)


def test_a_format_number_is_written_first(tmp_path: Path) -> None:
    path = written(tmp_path / "journal.jsonl", RunRecord(FORMAT, "0", 1, {}))
    assert json.loads(path.read_text())["format"] == FORMAT


def test_damage_is_refused_or_harmless_and_never_a_fault(tmp_path: Path) -> None:
    """Bytes changed, cut out or doubled at random."""
    path = written(
        tmp_path / "journal.jsonl", *heads(PLAN), save_record(CELL, "save1"),
        *(TrialRecord(CELL.id, "save1", Outcome.IMMEDIATE, (0.1, 0.2, 0.3)) for _ in range(5)),
        TrialRecord(CELL.id, "save1", Outcome.LOST, why="no tick", ticks_after_load=0),
    )  # fmt: skip
    whole, rng = path.read_bytes(), random.Random(1)
    refused = 0
    for _ in range(1500):
        at, size = rng.randrange(len(whole)), rng.randrange(1, 40)
        junk = rng.choice([b"", rng.randbytes(size), whole[at : at + size] * 2, b"\n", b"null"])
        path.write_bytes(whole[:at] + junk + whole[at + size :])
        try:
            state = read_state(path)
        except JournalFormatError as error:
            refused += 1
            assert error.line <= path.read_bytes().count(b"\n") + 1
        else:
            json.dumps(summary(judge_run(state, path)))
    assert refused > 500
