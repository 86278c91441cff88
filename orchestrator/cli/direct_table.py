"""The tables of a direct test: of this host, and of the arms of a lab."""

from orchestrator.cli.lab_kernels import print_kernels
from orchestrator.cli.run_table import coloured
from orchestrator.cli.screen import Screen
from orchestrator.cli.table import Table
from orchestrator.findings.series import Series
from orchestrator.verdict.direct import DirectResult, HostResult

_COLUMNS = ("TMCCT", "trials", "lost", "loss rate", "tick after", "trials/s")


def print_direct(screen: Screen, result: DirectResult) -> None:
    """Print the counts and the verdict of each tested host, and where the journal is."""
    if any(host.lab for host in result.hosts):
        _print_lab(screen, result)
    else:
        for host in result.hosts:
            _print_host(screen, host)
    if result.interrupted is not None:
        screen.prose(f"The test has not ended: {result.interrupted}.", style="yellow")
    screen.line(f"journal: {result.journal}")


def _print_host(screen: Screen, host: HostResult) -> None:
    """Print a row for each TMCCT, and one for the control."""
    table = Table(_COLUMNS, right=frozenset(_COLUMNS))
    for found in host.series:
        series, rate = found.series, found.loss_rate
        table.add(
            f"{series.tmcct_ns} ns",
            str(series.trials),
            str(series.lost),
            f"< {rate.high:.3%}" if not series.lost else f"{rate.low:.2%} to {rate.high:.2%}",
            f"{series.mean_ns / 1000:.1f} us" if series.lost < series.trials else "-",
            _rate(series),
        )
    if host.control:
        control = host.control.series
        table.add("control", str(control.trials), str(control.lost), "", "", "")
    if host.series or host.control:
        screen.table(table)
        screen.space()
    screen.prose(coloured(host.verdict), f": {host.why}.")
    screen.prose(f"This host is {host.exposure.state}: {host.exposure.why}.")


def _rate(series: Series) -> str:
    """Return trials a second. A few trials may take less than the time's last digit."""
    return f"{series.trials / series.seconds:,.0f}" if series.seconds else "-"


def _print_lab(screen: Screen, result: DirectResult) -> None:
    """Print a row for each arm."""
    counts = dict.fromkeys(each.series.tmcct_ns for host in result.hosts for each in host.series)
    trials = max((each.series.trials for host in result.hosts for each in host.series), default=0)
    columns = [_short(tmcct) for tmcct in counts]
    table = Table(("arm", *columns, "verdict"), right=frozenset(columns))
    for host in result.hosts:
        lost = {each.series.tmcct_ns: str(each.series.lost) for each in host.series}
        row = (lost.get(tmcct, "-") for tmcct in counts)
        table.add(host.name, *row, coloured(host.verdict))
    screen.prose(f"Timers lost, of {trials} for each current count (TMCCT) that was restored:")
    screen.table(table)
    screen.space()
    print_kernels(screen, [(host.lab, host.facts) for host in result.hosts if host.lab])
    emulators = dict.fromkeys(host.lab.emulator for host in result.hosts if host.lab)
    screen.prose(f"Emulator: {'; '.join(emulators)}.")
    for host in result.hosts:
        modules = host.facts.kvm_modules if host.facts else {}
        apicv = modules.get("kvm_intel", {}).get("enable_apicv", "unknown")
        screen.prose(
            f"{host.name} (enable_apicv={apicv}) is ", coloured(host.verdict), f": {host.why}."
        )


def _short(nanoseconds: int) -> str:
    """Return a time in the largest unit in which it is a whole number."""
    for unit, size in (("ms", 1_000_000), ("us", 1_000)):
        if nanoseconds and nanoseconds % size == 0:
            return f"{nanoseconds // size} {unit}"
    return f"{nanoseconds} ns"
