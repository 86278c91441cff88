from collections import Counter
from pathlib import Path

import pytest

from orchestrator.findings.outcome import FirstTick, Outcome, VcpuResult, combine
from orchestrator.journal.file import Journal, JournalError, read_journal
from orchestrator.journal.plain import plain


def test_a_journal_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path) as journal:
        journal.write("trial", cell="c", outcome=Outcome.LOST, first_tick=FirstTick(1.0, 1.1, 20.0))
        journal.write("cell", outcomes=Counter({Outcome.LOST: 1, Outcome.MISSED: 0}))
        first, second = read_journal(path)  # readable while it is being written
    assert first["outcome"] == "lost"
    assert first["first_tick"] == {"periods": 1.0, "wall_periods": 1.1, "ms": 20.0}
    assert second["outcomes"] == {"lost": 1}


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text('{"record":"a"}\n{"record":"b"}\n{"rec')
    assert [record["record"] for record in read_journal(path)] == ["a", "b"]


def test_a_journal_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text("precious")
    with pytest.raises(JournalError, match=r"File exists.*--out"):
        Journal(path)
    assert path.read_text() == "precious"


def test_a_plain_trial_has_a_short_line_and_reads_in_full(tmp_path: Path) -> None:
    first = {"periods": 0.123456, "wall_periods": 0.2, "ms": 3.14159}
    usual = {
        "cell": "kvm/one-shot/xapic/hmp/20ms/25loads", "arm": "host", "save": "save12",
        "missing_periods": 0, "why": "", "ticks_after_load": 2, "stale_bytes": 0,
        "duration_ns": 24815064, "first_tick": first, "outcome": "immediate", "attempt": 1,
        "vcpu": 0, "vcpus": [],
    }  # fmt: skip
    odd = {"outcome": "unknown", "why": "it stalled", "first_tick": None, "ticks_after_load": 0}
    written = [
        usual | {"number": 1},
        usual | odd | {"number": 2},
        usual | {"number": 2, "attempt": 2},
        usual | {"number": 3},
        usual | {"number": 1, "arm": "control"},
        usual | {"number": 4, "outcome": "lost"},
        usual | {"number": 5},
    ]
    with Journal(tmp_path / "journal.jsonl") as journal:
        for fields in written:
            journal.write("trial", **fields)
    lines = (tmp_path / "journal.jsonl").read_text().splitlines()
    assert len(lines[0]) < 175
    for fields, read in zip(written, read_journal(tmp_path / "journal.jsonl"), strict=True):
        expected = fields | {"record": "trial"}
        if fields["first_tick"]:
            expected["first_tick"] = {"periods": 0.1235, "wall_periods": 0.2, "ms": 3.142}
        short = fields["outcome"] == "immediate" and fields["arm"] == "host"
        if short and fields["attempt"] == 1:
            del expected["duration_ns"]
        del read["at"]
        assert read == expected


def test_the_vcpus_of_a_trial_come_back(tmp_path: Path) -> None:
    first = FirstTick(0.1235, 0.2, 3.142)
    each = (VcpuResult(Outcome.IMMEDIATE, first, ticks_after_load=2),
            VcpuResult(Outcome.LOST, why="no tick", vcpu=1))  # fmt: skip
    whole = combine(each)
    assert (whole.outcome, whole.telling) == (Outcome.LOST, 1)
    fields = {"cell": "c", "arm": "host", "number": 1, "attempt": 1, "save": "save1"}
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.write("trial", **fields, **plain(whole.told), vcpus=whole.vcpus)
        journal.write("trial", **fields, **plain(each[0]), vcpus=each[:1] * 2)
    lost, plainly = read_journal(tmp_path / "journal.jsonl")
    assert lost["vcpus"][1] == plain(each[1])
    assert [vcpu["outcome"] for vcpu in plainly["vcpus"]] == ["immediate"] * 2
    assert plainly["first_tick"] == plain(first)
