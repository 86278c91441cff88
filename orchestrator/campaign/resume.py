"""A run that was cut short, read back from its journal."""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from orchestrator.bugs.catalogue import APICV_BUG
from orchestrator.bugs.exposure import Exposure, ExposureState, Reason
from orchestrator.errors import InputError
from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import OUTCOME_BY_NAME, Outcome
from orchestrator.host.facts import HostFacts
from orchestrator.journal.count import (
    MAX_ATTEMPTS,
    Arm,
    CellCampaign,
    Control,
    control_seen,
    control_subject,
)
from orchestrator.journal.file import read_journal
from orchestrator.journal.plain import plain
from orchestrator.plan.cell import Cell
from orchestrator.plan.plan import Plan
from orchestrator.stats.rate import LossRate
from orchestrator.stats.save_effect import BySave
from orchestrator.timers.registry import TIMERS
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel

JOURNAL = "journal.jsonl"


#: The records that a journal begins with.
_HEADS = ("run", "host", "plan")


#: Facts that make a host another one, so that its trials are not those of the one before.
_IDENTITY = ("kernel", "kernel_build", "cpu", "microcode", "kvm_modules", "qemu")


#: The SHA-256 of the tick firmware counts as one of them.
_FIRMWARE = "firmware"


#: Looked up once: there may be millions of trials.
_HOST, _LOST = Arm.HOST, Outcome.LOST


class ResumeError(InputError):
    """A run can't be gone on with."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A cell that has its verdict."""

    verdict: Verdict
    why: str
    exposure: Exposure
    rate: LossRate


@dataclass(slots=True)
class Resumed:
    """What a journal holds of a run."""

    plan: Plan
    auto: Accel
    """The accelerator that stood for `auto`."""
    seed: int
    facts: dict[str, Any]
    """Of the host on which it ran last, as plain data, with its firmware."""
    campaigns: dict[str, CellCampaign] = field(default_factory=dict)
    """By cell id: what was counted so far."""
    counted_on: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By cell id: the facts of the host and the QEMU on which that was counted."""
    ended: dict[str, Ended] = field(default_factory=dict)
    instances: int = 0
    hangs: int = 0

    def changed(
        self, facts: HostFacts, firmware: str, cell: str | None = None
    ) -> dict[str, tuple[Any, Any]]:
        """Return what differs on the host of now, before and after, by its fact's name.

        Args:
            facts: of the host of now.
            firmware: the SHA-256 of the tick firmware.
            cell: the id of the cell for which it is asked: what it has counted was counted on
                the host that it then ran on; by default, the host on which the run ran last.
        """
        before = self.counted_on.get(cell, self.facts) if cell else self.facts
        now = plain(facts) | {_FIRMWARE: firmware}
        return {
            name: (before.get(name), now[name])
            for name in (*_IDENTITY, _FIRMWARE)
            if before.get(name) != now[name]
        }


def read_run(folder: Path) -> Resumed:
    """Read the run whose output is in a folder.

    Raises:
        ResumeError: there is none, or it has its verdict already.
    """
    doing = f"resuming the run in {folder}"
    path = folder / JOURNAL
    try:
        records = read_journal(path)
        heads = {record["record"]: record for record in itertools.islice(records, len(_HEADS))}
        run, host, plan = (heads[kind] for kind in _HEADS)
        resumed = Resumed(
            Plan.model_validate(plan["plan"]), Accel(plan["auto"]), run["seed"],
            host["facts"] | {_FIRMWARE: run[_FIRMWARE]},
        )  # fmt: skip
    except OSError as error:
        raise ResumeError(f"{doing}: {path.name}: {error.strerror}") from error
    except (KeyError, ValueError) as error:
        raise ResumeError(f"{doing}: {path.name} is not the journal of a run: {error}") from error
    cells = {cell.id: cell for cell in resumed.plan.cells(resumed.auto)}
    hosts: dict[str, dict[str, Any]] = {}  # of the cells that had one of their own
    for record in records:
        if record["record"] == "verdict":
            raise ResumeError(
                f"{doing}: it has its verdict, {record['verdict']}: there is nothing left to do"
            )
        if record["record"] == "resumed":
            resumed.facts = record["facts"] | {_FIRMWARE: record[_FIRMWARE]}
            hosts.clear()
        elif cell := cells.get(name := record.get("cell", "")):
            if record["record"] == "host":
                hosts[name] = record["facts"] | {_FIRMWARE: resumed.facts[_FIRMWARE]}
            elif record["record"] == "trial":
                resumed.counted_on[name] = hosts.get(name, resumed.facts)
            _replay(resumed, cell, record)
        elif record["record"] == "instance":
            raise ResumeError(f"{doing}: it has a cell that its plan has not: {record['cell']}")
    return resumed


def _replay(resumed: Resumed, cell: Cell, record: Mapping[str, Any]) -> None:
    """Count a record as it was counted when it was written."""
    name = record["cell"]
    campaign = resumed.campaigns.get(name)
    if campaign is None:
        campaign = CellCampaign(by_save=BySave(cell.loads_per_save))
        resumed.campaigns[name] = campaign
    match record["record"]:
        case "trial":
            resumed.hangs += "evidence" in record
            if record["arm"] == _HOST:
                _count(campaign, cell, record)
            else:
                _count_control(campaign, cell, record)
        case "save":
            if record["arm"] == _HOST and record["eligible"]:
                campaign.begin_save()
        case "instance":
            resumed.instances = max(resumed.instances, record["number"])
        case "restart":
            resumed.campaigns[name] = CellCampaign(by_save=BySave(cell.loads_per_save))
        case "cell":
            rate = {f.name: record["loss_rate"][f.name] for f in fields(LossRate)}
            exposed = record["exposure"]
            resumed.ended[name] = Ended(
                Verdict(record["verdict"]),
                record["why"],
                Exposure(
                    ExposureState(exposed["state"]), exposed["why"], Reason(exposed["reason"])
                ),
                LossRate(**rate),
            )


def _count(campaign: CellCampaign, cell: Cell, record: Mapping[str, Any]) -> None:
    first, diagnosis = record["first_tick"], record.get("diagnosis")
    outcome = OUTCOME_BY_NAME[record["outcome"]]
    lost: list[int] = []
    if outcome is _LOST:
        each = record["vcpus"] or [record]
        lost = [one["vcpu"] for one in each if one["outcome"] == _LOST]
    campaign.count(
        outcome,
        record["attempt"],
        cause=Cause(diagnosis["cause"]) if diagnosis else None,
        of_the_bug=APICV_BUG.shows_in(cell.mode, record["ticks_after_load"]),
        first_tick=(first["periods"], first["ms"]) if first else None,
        lost_vcpus=lost,
    )


def _count_control(campaign: CellCampaign, cell: Cell, record: Mapping[str, Any]) -> None:
    if record["outcome"] == Outcome.UNKNOWN and record["attempt"] < MAX_ATTEMPTS:
        return  # it was to be tried again
    subject = control_subject(record["number"], cell.vcpus)
    each = {one["vcpu"]: one for one in record["vcpus"] or [record]}
    diagnosed = record.get("diagnoses") or [record.get("diagnosis") or {}]
    diagnoses = {one["vcpu"]: one for one in diagnosed if one}
    causes = {vcpu: Cause(one["cause"]) for vcpu, one in diagnoses.items()}
    outcomes = {vcpu: Outcome(one["outcome"]) for vcpu, one in each.items()}
    of_subject = each.get(subject, record)
    sentence = diagnoses[subject]["sentence"] if subject in diagnoses else of_subject["why"]
    control = Control(
        control_seen(TIMERS[cell.mode], outcomes, causes, subject),
        Outcome(of_subject["outcome"]), causes.get(subject), sentence,
    )  # fmt: skip
    # Attempts at one control share its number: the last one counts.
    del campaign.controls[record["number"] - 1 :]
    campaign.controls.append(control)
