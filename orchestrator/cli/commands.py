"""The table of commands: names, help, and the function that runs each.

A command's module is imported only when that command runs. So `losttick --help` reads
nothing but this table, and a command's module imports what it needs at its top.
"""

import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from orchestrator.plan.names import plan_description, shipped_plans


@dataclass(frozen=True, slots=True)
class Command:
    """One command."""

    help: str
    """The first line of the command's docstring, at most 66 characters."""
    function: str
    """Module and name of the function, as `module:name`."""


@dataclass(frozen=True, slots=True)
class Group:
    """Commands under one name."""

    help: str
    commands: Mapping[str, "Command | Group"]
    more: Callable[[], str] | None = None
    """Returns lines to print after the help."""
    unnamed: str = ""
    """Name of the command that runs where the group is followed by an option."""


def _plans() -> str:
    names = shipped_plans()
    indent = " " * (max(map(len, names)) + 4)
    return "\n".join(
        ("", "Plans that come with losttick:", *(_described(name, indent) for name in names))
    )


def _described(name: str, indent: str) -> str:
    """Return the name of a plan and what it is for, in lines of at most 80 columns."""
    bound = "\N{NO-BREAK SPACE}%"  # a number and its unit stay in one line
    lines = textwrap.wrap(
        plan_description(name).replace(" %", bound), 80, initial_indent=indent,
        subsequent_indent=indent,
    )  # fmt: skip
    text = "\n".join(lines).replace(bound, " %")
    return f"  {name}".ljust(len(indent)) + text[len(indent) :]


PLAN = Group(
    "Show what a plan would run here, and what a plan may contain.",
    {
        "show": Command(
            "List a plan's cells, which of them can't run here, and the time.",
            "orchestrator.cli.plan:show",
        ),
        "schema": Command(
            "Print the JSON Schema of plan files, for editors.", "orchestrator.cli.plan:schema"
        ),
    },
    _plans,
)

LAB = Group(
    "Test kernels of your choice on an emulated Intel CPU with APICv.",
    {
        "run": Command(
            "Load snapshots in booted kernels, and see which lose ticks.",
            "orchestrator.cli.lab.run:run",
        ),
        "probe": Command(
            "Test KVM_SET_LAPIC in booted kernels, without QEMU.",
            "orchestrator.cli.lab.probe:probe",
        ),
        "list": Command(
            "List what the lab has fetched and built, and where it is.",
            "orchestrator.cli.lab.cache:list_",
        ),
        "clean": Command(
            "Remove what the lab has fetched and built.", "orchestrator.cli.lab.cache:clean"
        ),
    },
)

HISTORY = Group(
    "Keep the results of many runs, and say which findings are new.",
    {
        "add": Command(
            "Add runs to the history, or read them again.", "orchestrator.cli.history.add:add"
        ),
        "list": Command("List the runs of the history.", "orchestrator.cli.history.list:list_"),
        "show": Command(
            "Print a run of the history, and what is new in it.",
            "orchestrator.cli.history.show:show",
        ),
        "trend": Command(
            "Find cells whose loss rate or first tick changed, and when.",
            "orchestrator.cli.history.trend:trend",
        ),
        "prune": Command(
            "Remove the folders of old runs; keep the newest evidence.",
            "orchestrator.cli.history.prune:prune",
        ),
    },
)


def _unnamed_search() -> str:
    return "\n`losttick bisect --good A --bad B ...` is short for `losttick bisect search ...`."


BISECT = Group(
    "Find the first commit, kernel or QEMU that loses ticks.",
    {
        "search": Command(
            "Find the first commit, kernel or QEMU that loses ticks.",
            "orchestrator.cli.bisect.search:search",
        ),
        "run": Command(
            "Test the checked-out commit, and tell `git bisect run` what it is.",
            "orchestrator.cli.bisect.run:run",
        ),
    },
    _unnamed_search,
    unnamed="search",
)

FLEET = Group(
    "Run a plan on many hosts and kernels, by Slurm or SSH; one answer.",
    {
        "plan": Command(
            "List what a fleet would run, what can't run and why, and the time.",
            "orchestrator.cli.fleet.plan:plan",
        ),
        "run": Command("Run a plan on many hosts and kernels.", "orchestrator.cli.fleet.run:run"),
        "status": Command(
            "Print where each task of a fleet stands.", "orchestrator.cli.fleet.status:status"
        ),
        "resume": Command(
            "Follow a fleet again, and try its failed tasks once more.",
            "orchestrator.cli.fleet.run:resume",
        ),
        "cancel": Command(
            "End the runs of a fleet; `fleet resume` goes on with them.",
            "orchestrator.cli.fleet.status:cancel",
        ),
        "collect": Command(
            "Bring the runs of a fleet together: history, table, one answer.",
            "orchestrator.cli.fleet.collect:collect",
        ),
        "export": Command(
            "Write a fleet as plans of tmt or jobs of LAVA.",
            "orchestrator.cli.fleet.export:export",
        ),
        "schema": Command(
            "Print the JSON Schema of fleet files, for editors.",
            "orchestrator.cli.fleet.plan:schema",
        ),
    },
)

LOSTTICK = Group(
    "Detect LAPIC timer interrupts that KVM loses when QEMU loads a snapshot.",
    {
        "run": Command(
            "Load snapshots while a guest ticks; does this host lose ticks?",
            "orchestrator.cli.run:run",
        ),
        "show": Command(
            "Print the results of finished or interrupted runs again.",
            "orchestrator.cli.show:show",
        ),
        "explain": Command(
            "Explain a result: what happened, what it means, and what to do.",
            "orchestrator.cli.explain:explain",
        ),
        "report": Command(
            "Write the results of runs as JUnit, Markdown and other forms.",
            "orchestrator.cli.report:report",
        ),
        "compare": Command(
            "Compare runs cell by cell; did the loss rate get worse?",
            "orchestrator.cli.compare:compare",
        ),
        "bundle": Command(
            "Pack a run into one file that a stranger can read.",
            "orchestrator.cli.bundle:bundle",
        ),
        "android": Command(
            "Test the Android Emulator: does a snapshot freeze it, and why?",
            "orchestrator.cli.android:android",
        ),
        "doctor": Command(
            "Print what can be tested on this host, what can't, and why.",
            "orchestrator.cli.doctor:doctor",
        ),
        "probe": Command(
            "Test KVM_SET_LAPIC on this host, without QEMU.", "orchestrator.cli.probe:probe"
        ),
        "attach": Command(
            "Look at a running QEMU: is its guest frozen, and by this bug?",
            "orchestrator.cli.attach:attach",
        ),
        "history": HISTORY,
        "bisect": BISECT,
        "fleet": FLEET,
        "plan": PLAN,
        "lab": LAB,
    },
)
