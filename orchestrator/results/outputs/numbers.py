"""The numbers of a case and the identity of a host, as names and texts that any form can hold."""

from orchestrator.findings.lab import LabIdentity
from orchestrator.host.facts import HostFacts
from orchestrator.results.columns import controls_seen, first_tick_with_time, loss_rate
from orchestrator.results.report import Case, Report
from orchestrator.verdict.run import CellResult


def numbers(case: Case) -> dict[str, str]:
    """Return what was counted in a case, by names that stay."""
    found = {"verdict": str(case.verdict)}
    if case.expected:
        found["expected"] = str(case.expected)
    found |= {"trials": str(case.trials), "lost": str(case.lost)}
    found |= {f"outcome.{name}": str(count) for name, count in case.outcomes.items()}
    found |= {f"cause.{name}": str(count) for name, count in case.causes.items()}
    if isinstance(case.result, CellResult):
        result = case.result
        found |= {
            "loss_rate": loss_rate(result),
            "first_tick": first_tick_with_time(result),
            "controls": controls_seen(result),
        }
    elif case.result:
        for each in case.result.series:
            series, rate = each.series, each.loss_rate
            found[f"tmcct_{series.tmcct_ns}_ns"] = (
                f"{series.lost} of {series.trials} lost ({rate.low:.3%} to {rate.high:.3%})"
            )
    if case.rate:
        found["confidence"] = f"{case.rate.confidence:g}"
    found["exposure"] = f"{case.exposure.state}: {case.exposure.why}"
    if case.lab:
        found |= _lab(case.lab)
    return found


def identity(report: Report) -> dict[str, str]:
    """Return what the numbers of a run depend on: its host, its versions and its seed."""
    found = {"losttick": report.losttick, "command": f"losttick {report.command}"}
    if report.seed is not None:
        found["seed"] = str(report.seed)
    if report.facts:
        found |= host(report.facts)
    return {name: text for name, text in found.items() if text}


def host(facts: HostFacts) -> dict[str, str]:
    """Return the identity of a host."""
    found = {
        "kernel": facts.kernel,
        "kernel_build": facts.kernel_build,
        "cpu": facts.cpu,
        "cpus": str(facts.cpus),
        "microcode": facts.microcode or "unknown",
        "kvm_device": facts.kvm_device,
    }
    for module, parameters in facts.kvm_modules.items():
        values = " ".join(f"{name}={value}" for name, value in parameters.items())
        found[f"module.{module}"] = values or "loaded"
    if facts.qemu:
        found |= {
            "qemu": facts.qemu.path,
            "qemu_version": facts.qemu.version,
            "qemu_sha256": facts.qemu.sha256,
        }
    return found


def _lab(lab: LabIdentity) -> dict[str, str]:
    return {
        "lab.kernel": lab.kernel,
        "lab.version": lab.version,
        "lab.variant": lab.variant,
        "lab.apicv": "on" if lab.apicv else "off",
        "lab.emulator": lab.emulator,
    }
