"""Reads a journal from before formats had numbers into the records of today.

The old form named the role `arm`, an instance `machine`, and had the numbers of a trial
that plainly ticked left out. It did not say when a cell was given up, skipped or out of
time: that is taken from the words of the cell's verdict.
"""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import TypeAdapter

from orchestrator.findings.save import Save, VcpuSave
from orchestrator.host.facts import HostFacts
from orchestrator.journal.records import (
    FORMAT,
    CellRecord,
    FailureRecord,
    HostRecord,
    InstanceRecord,
    InterruptedRecord,
    LoaderRecord,
    OutOfTimeRecord,
    PauseRecord,
    PlanRecord,
    Record,
    RestartRecord,
    ResumedRecord,
    RunRecord,
    SaveRecord,
    SkipRecord,
    VerdictRecord,
)
from orchestrator.journal.trial_record import Role, TrialRecord
from orchestrator.plan.plan import Plan
from orchestrator.vm.config import Accel

_FACTS = TypeAdapter(HostFacts)
_VCPU_SAVE = TypeAdapter(VcpuSave)
_TRIAL = TypeAdapter(TrialRecord)


def old_records(lines: Iterable[str]) -> list[Record]:
    """Return the records of a journal in the old form; a torn last line is left out."""
    whole = [line for line in lines if line.endswith("\n")]
    return list(_converted([json.loads(line) for line in whole]))


def _converted(old: list[dict[str, Any]]) -> Iterator[Record]:
    ends = {record["cell"]: record for record in old if record["record"] == "cell"}
    hosted: set[str] = set()
    for record in old:
        cell = record.get("cell", "")
        match record["record"]:
            case "run":
                yield RunRecord(FORMAT, record["losttick"], record["seed"], _guests(record))
            case "host" if not cell:
                yield HostRecord(_FACTS.validate_python(record["facts"]))
            case "host":
                hosted.add(cell)
                yield HostRecord(_FACTS.validate_python(record["facts"]), cell)
            case "plan":
                plan, auto = Plan.model_validate(record["plan"]), Accel(record["auto"])
                yield PlanRecord(record["plan"], tuple(plan.cells(auto)), auto)
            case "resumed":
                hosted.clear()
                yield ResumedRecord(
                    record["losttick"], _guests(record),
                    _FACTS.validate_python(record["facts"]),
                    {name: tuple(pair) for name, pair in record["changed"].items()},
                )  # fmt: skip
            case "restart":
                yield RestartRecord(cell, record["why"])
            case "machine":
                if cell not in hosted:
                    hosted.add(cell)
                    yield HostRecord(cell=cell)
                yield InstanceRecord(
                    cell, Role(record["arm"]), record["number"], tuple(record["argv"]),
                    tuple(record["vcpu_threads"]), tuple(record["pinned_cpus"]),
                )  # fmt: skip
            case "loader":
                yield LoaderRecord(cell, tuple(record["argv"]))
            case "save":
                yield _save(record)
            case "trial":
                yield _trial(record)
            case "pause":
                yield PauseRecord(cell, record["why"], record["ns"])
            case "failure":
                error = record["error"].partition("\nCommand line:")[0]
                gave_up = ends.get(cell, {}).get("why") == error
                yield FailureRecord(cell, record["error"], gave_up)
            case "cell":
                yield from _cell(record, hosted)
            case "verdict":
                yield VerdictRecord(record["verdict"], record["cells"], record["statement"])
            case "interrupted":
                yield InterruptedRecord(record["by"], record["error"])
            case kind:
                raise AssertionError(f"the old form has no {kind}")


def _guests(record: dict[str, Any]) -> dict[str, str]:
    """Return the images of the guests: the firmware was the only one."""
    return {"tick": record["firmware"]}


def _cell(record: dict[str, Any], hosted: set[str]) -> Iterator[Record]:
    cell = record["cell"]
    if record["verdict"] == "skipped":
        if cell not in hosted:
            yield HostRecord(cell=cell)
        yield SkipRecord(cell, record["why"])
    if "; its time of " in record["why"]:
        yield OutOfTimeRecord(cell)
    named = ("verdict", "why", "exposure", "loss_rate", "outcomes", "diagnoses", "controls")
    fields = {name: record[name] for name in named}
    yield CellRecord(cell, **fields | {"controls": tuple(fields["controls"])})


def _save(record: dict[str, Any]) -> SaveRecord:
    parts = [record, *record.get("others", [])]
    own = [
        # What is ineligible was said of the whole save, with the number of the vCPU.
        [r for r in part["ineligible"] if " on vCPU " not in r and r != "control"]
        for part in parts
    ]
    vcpus = [
        _VCPU_SAVE.validate_python(
            part
            | {
                "vcpu": vcpu,
                "ineligible": reasons,
                "progress": part["spins"],
                "progress_per_period": part["spins_per_period"],
            }
        )
        for vcpu, (part, reasons) in enumerate(zip(parts, own, strict=True))
    ]
    save = Save(
        record["tag"], record["intended_phase"], tuple(vcpus), record["generation"],
        record["stopped_periods"], control="control" in record["ineligible"],
    )  # fmt: skip
    assert save.eligible is record["eligible"]
    return SaveRecord(record["cell"], save, Role(record["arm"]))


def _trial(record: dict[str, Any]) -> TrialRecord:
    """Return a trial. Its line left out what is the same in all trials that plainly tick."""
    vcpus = record.pop("vcpus", [])
    said = record | {"role": record.get("arm", "host"), "first_tick": record["first_tick"]}
    telling = said.setdefault("vcpu", 0)
    parts = [part | {"vcpu": part.get("vcpu", 0)} for part in vcpus]
    said["others"] = [part for part in parts if part["vcpu"] != telling]
    diagnosis = record.get("diagnosis")
    said["diagnoses"] = record.get("diagnoses") or ([diagnosis] if diagnosis else [])
    return _TRIAL.validate_python(said)
