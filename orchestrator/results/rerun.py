"""The commands that repeat a run or a direct test."""

import json
import shlex
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

from orchestrator.findings.lab import LabIdentity
from orchestrator.journal.file import read_journal
from orchestrator.journal.records import PlanRecord
from orchestrator.plan.axes import Axes
from orchestrator.plan.goals import Goals
from orchestrator.plan.plan import Plan
from orchestrator.results.printable import LONGEST
from orchestrator.results.report import Report
from orchestrator.verdict.direct import DirectResult

#: Options whose names differ from the names of their axes.
_OPTIONS = {"period_ms": "period", "memory_mib": "memory", "resume": "resume-by"}

#: Axes that `losttick lab run` takes as lists.
_LAB_AXES = (
    "guest", "guest_kernel", "mode", "period_ms", "method", "wait", "state", "resume", "phase",
    "pause_before_load", "pause_before_cont",
)  # fmt: skip

#: Most records of a journal before its plan.
_MOST_BEFORE = 100

#: The file that the commands write a plan to.
_FILE = "plan.toml"


def rerun(report: Report) -> str:
    """Return the commands that repeat a run or a direct test, for a POSIX shell.

    The same plan and seed give the same cells and phases. A plan that options can't express
    is written into a file first.
    """
    said = _commands(report)
    if any(len(line) > LONGEST for line in said.split("\n")):
        return f"# The plan is too long for a command. It is in {report.result.journal}"
    return said


def _commands(report: Report) -> str:
    if isinstance(report.result, DirectResult):
        return "\n".join(_direct(report.result))
    plan = _plan_of(report)
    if plan is None:
        return ""
    if report.command == "lab run":
        return "\n".join(_lab_run(report, plan))
    return _run(plan, report.result.seed)


def _plan_of(report: Report) -> Plan | None:
    """Return the plan of a run, which stands near the beginning of its journal."""
    before = islice(read_journal(report.result.journal), _MOST_BEFORE)
    found = next((record for record in before if isinstance(record, PlanRecord)), None)
    return Plan.model_validate(found.plan) if found else None


def _run(plan: Plan, seed: int) -> str:
    """Return the command of a run, with a plan file if options can't express the plan."""
    inexpressible = (
        plan.include or plan.exclude or plan.accept_skips or len(plan.axes.qemu_args) > 1
    )  # fmt: skip
    if inexpressible:
        return _by_file(plan, seed)
    axes = _changed(plan.axes, Axes())
    given = [_option(name, value) for name, values in axes.items() for value in values]
    limits = _changed(plan.limits, Goals())
    given += [_option(name, value) for name, value in limits.items()]
    if plan.controls != Plan().controls:
        given.append(_option("controls", plan.controls))
    given += [_option("require", value) for value in plan.require]
    line = " ".join(["losttick run", *given, _option("seed", seed)])
    # What no page prints as it is can be escaped in a file, but not in a command.
    return line if line.isprintable() else _by_file(plan, seed)


def _by_file(plan: Plan, seed: int) -> str:
    """Return the commands that write a plan into a file, and run it.

    They work as well if each line is indented: there is no here-document.
    """
    lines = _toml(_changed(plan, Plan()) | {"seed": seed}).rstrip("\n").split("\n")
    quoted = [f"    {shlex.quote(line)} \\" for line in lines]
    return "\n".join(
        ["printf '%s\\n' \\", *quoted, f"    > {_FILE}", f"losttick run --plan {_FILE}"]
    )


def _option(name: str, value: object) -> str:
    """Return an option with its value, quoted for the shell."""
    if name == "qemu_args":
        return " ".join(f"--qemu-arg={shlex.quote(each)}" for each in shlex.split(str(value)))
    return f"--{_OPTIONS.get(name, name).replace('_', '-')} {shlex.quote(str(value))}"


def _changed(model: Plan | Axes | Goals, usual: Plan | Axes | Goals) -> dict[str, Any]:
    """Return the settings that differ from the usual ones, as plain data."""
    given, default = model.model_dump(mode="json"), usual.model_dump(mode="json")
    found: dict[str, Any] = {}
    for name, value in given.items():
        if value == default[name] or value is None:
            continue
        below = getattr(model, name)
        found[name] = (
            _changed(below, getattr(usual, name)) if isinstance(below, Axes | Goals) else value
        )
    return found


def _toml(data: Mapping[str, Any]) -> str:
    """Return a plan as TOML."""
    usual = Axes().model_dump(mode="json")
    plain = {name: value for name, value in data.items() if not isinstance(value, Mapping)}
    tables = {name: plain.pop(name) for name in ("include", "exclude") if name in plain}
    lines = _pairs(plain)
    for name, value in data.items():
        if isinstance(value, Mapping):
            lines += [f"[{name}]", *_pairs(value)]
    for name, several in tables.items():
        for each in several:
            # An axis that an `exclude` table names matches, also where it has its usual value.
            kept = each if name == "exclude" else {k: v for k, v in each.items() if v != usual[k]}
            lines += [f"[[{name}]]", *_pairs(kept)]
    return "\n".join(lines) + "\n"


def _pairs(values: Mapping[str, Any]) -> list[str]:
    # What JSON writes of texts, numbers and lists of them is TOML, but for pairs of surrogates.
    return [
        f"{name} = {_escaped(json.dumps(value, ensure_ascii=False))}"
        for name, value in values.items()
    ]


def _escaped(text: str) -> str:
    """Return a text of TOML with its own escapes for what is not printable."""
    return "".join(
        each if each.isprintable()
        else f"\\u{ord(each):04x}" if ord(each) < 1 << 16
        else f"\\U{ord(each):08x}"
        for each in text
    )  # fmt: skip


def _lab_run(report: Report, plan: Plan) -> list[str]:
    """Return a command for the arms with APICv, and one for the arms without it."""
    axes: dict[str, list[object]] = {}
    for table in (plan.axes, *plan.include):
        dumped = table.model_dump(mode="json")
        for name in _LAB_AXES:
            axes.setdefault(name, []).extend(each for each in dumped[name])
    usual = {**Axes().model_dump(mode="json"), "period_ms": None}
    given = [
        _option(name, value)
        for name, values in axes.items()
        if values != usual[name]
        for value in dict.fromkeys(values)
    ]
    cpus = next((case.facts.cpus for case in report.cases if case.facts), 1)
    given += [_option("cpus", cpus)] if cpus > 1 else []
    given += [_option("vcpus", count) for count in plan.axes.vcpus if count > 1]
    given.append(_option("trials", plan.limits.planned))
    if plan.limits.confidence != Goals().confidence:
        given.append(_option("confidence", plan.limits.confidence))
    if plan.limits.stop_after:
        given.append(_option("stop-after", plan.limits.stop_after))
    given.append(_option("seed", report.seed))
    labs = [case.lab for case in report.cases if case.lab]
    return [" ".join([*command, *given]) for command in _by_apicv("losttick lab run", labs)]


def _direct(result: DirectResult) -> list[str]:
    """Return the commands of a direct test."""
    tmccts = dict.fromkeys(s.series.tmcct_ns for host in result.hosts for s in host.series)
    trials = max((s.series.trials for host in result.hosts for s in host.series), default=0)
    given = [_option("mode", result.mode)] + [_option("tmcct", each) for each in tmccts]
    given += [_option("trials", trials)] if trials else []
    if result.confidence != Goals().confidence:
        given.append(_option("confidence", result.confidence))
    labs = [host.lab for host in result.hosts if host.lab]
    if not labs:
        # A lab's period is always the same.
        period = _option("period-us", result.period_ns // 1000)
        given += [period] if result.period_ns else []
        return [" ".join(["losttick probe", *given])]
    return [" ".join([*command, *given]) for command in _by_apicv("losttick lab probe", labs)]


def _by_apicv(command: str, labs: Iterable[LabIdentity]) -> list[list[str]]:
    """Return the command with the kernels and variants of the arms, once for each APICv setting."""
    found = []
    arms = list(labs)
    for apicv in (True, False):
        some = [lab for lab in arms if lab.apicv is apicv]
        # Kernels of one command share its variants: kernels with other variants get their own.
        by_variants: dict[tuple[str, ...], list[str]] = {}
        for kernel in dict.fromkeys(lab.kernel for lab in some):
            variants = tuple(dict.fromkeys(lab.variant for lab in some if lab.kernel == kernel))
            by_variants.setdefault(variants, []).append(kernel)
        for variants, kernels in by_variants.items():
            words = [command, *(_option("kernel", each) for each in kernels)]
            words += [_option("variant", each) for each in variants]
            everys = dict.fromkeys(lab.every for lab in some if lab.variant in variants)
            words += [_option("every", each) for each in everys if each is not None]
            found.append(words if apicv else [*words, "--no-apicv"])
    return found
