"""The host on the page: who was tested, and what differs between the cells."""

from collections.abc import Iterator, Mapping, Sequence

from orchestrator.host.facts import HostFacts
from orchestrator.results.hosts import TELLING
from orchestrator.results.outputs.html.view import Table
from orchestrator.results.report import Report
from orchestrator.verdict.run import RunResult

#: Most characters of a SHA-256 that are shown.
_HASH = 12


def host_facts(facts: HostFacts) -> Iterator[tuple[str, str]]:
    """Yield the facts of a host for a person, each with its name."""
    virtual = ", in a virtual machine" if facts.hypervisor else ""
    yield "kernel", f"{facts.kernel} ({facts.kernel_build})"
    cpus = f"{facts.cpus} CPU{'s' if facts.cpus > 1 else ''}"
    yield "CPU", f"{facts.cpu}, {facts.family_model_stepping}, {cpus}{virtual}"
    yield "microcode", facts.microcode or "not known"
    yield "KVM", _modules(facts.kvm_modules) or f"/dev/kvm is {facts.kvm_device}"
    if facts.qemu:
        qemu = facts.qemu
        yield "QEMU", f"{qemu.version}, {qemu.path}, SHA-256 {qemu.sha256[:_HASH]}…"
    if facts.clocksource:
        yield "clock source", facts.clocksource


def _modules(modules: Mapping[str, Mapping[str, str]]) -> str:
    said = []
    for name, parameters in sorted(modules.items()):
        telling = [f"{key}={parameters[key]}" for key in TELLING if key in parameters]
        said.append(f"{name} ({', '.join(telling)})" if telling else name)
    return ", ".join(said)


def differing_hosts(report: Report) -> Table | None:
    """Return the facts that differ between the cells of a report; None if none does."""
    named = [(case.name, case.facts) for case in report.cases if case.facts]
    by_case = {name: dict(host_facts(facts)) for name, facts in named}
    names = list(dict.fromkeys(fact for found in by_case.values() for fact in found))
    differ = [name for name in names if len({found.get(name) for found in by_case.values()}) > 1]
    if not differ:
        return None
    alike: dict[tuple[str, ...], list[str]] = {}
    for case, found in by_case.items():
        alike.setdefault(tuple(found.get(name, "not known") for name in differ), []).append(case)
    return Table(("cells", *differ), [(_joined(cases), *key) for key, cases in alike.items()])


def _joined(cases: Sequence[str]) -> str:
    shown = ", ".join(cases[:4])
    return shown if len(cases) <= 4 else f"{shown} and {len(cases) - 4} more"


def changed_while_away(report: Report) -> Sequence[str]:
    """Return the facts that changed while a run was interrupted."""
    return report.result.changed if isinstance(report.result, RunResult) else ()
