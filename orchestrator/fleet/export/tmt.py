"""A fleet as plans of tmt: one for each host and kernel, with hardware requirements."""

from collections.abc import Mapping
from typing import Any

from orchestrator.fleet.export.yaml_text import yaml_text
from orchestrator.fleet.load import Loaded
from orchestrator.fleet.preview import preview
from orchestrator.fleet.task import Task, tasks

#: The test. tmt starts it again after a reboot, with another TMT_REBOOT_COUNT.
_SCRIPT = """\
#!/bin/sh
# Boots the kernel that the plan asks for, once, and runs losttick there. tmt takes exit code 0 for
# a pass, 1 for a failure, and each other one for an error.
#
# LOSTTICK    the command
# KERNEL      what `uname -r` must print; empty for any kernel
# BOOT_ENTRY  the entry of the boot loader that starts the kernel; empty if it runs already
set -eu

if [ "${KERNEL:-}" ] && [ "$(uname -r)" != "$KERNEL" ] && [ "${BOOT_ENTRY:-}" ] &&
    [ "${TMT_REBOOT_COUNT:-0}" = 0 ]; then
    "$(command -v grub-reboot || command -v grub2-reboot)" "$BOOT_ENTRY"
    tmt-reboot
fi
set -- run --plan plan.toml --out "$TMT_TEST_DATA/run" --resume-or-start --exclusive \\
    --report "junit=$TMT_TEST_DATA/junit.xml"
[ -z "${KERNEL:-}" ] || set -- "$@" --expect-kernel "$KERNEL"
code=0
"${LOSTTICK:-losttick}" "$@" || code=$?
case $code in
0 | 1) exit "$code" ;;
5) exit 1 ;;
*)
    echo "losttick ended with $code: 3 not all could be tested here, 4 losttick or QEMU failed," \\
        "or it is another kernel, 6 inconclusive (run again on a quiet host)" >&2
    exit 2
    ;;
esac
"""


def tmt_files(loaded: Loaded) -> Mapping[str, str]:
    """Return the files of an fmf tree, by their paths in it; `ticks.sh` must be executable.

    Args:
        loaded: the fleet file, and its plan.

    Raises:
        InputError: the plan has no cells.
    """
    tree: dict[str, Any] = {
        "/test": {
            "summary": "No timer interrupt is lost at a load",
            "test": "./ticks.sh",
            "framework": "shell",
            "require": ["qemu-kvm", "qemu-img", "python3"],
            "duration": f"{_minutes(loaded)}m",
        }
    }
    for task in tasks(loaded.fleet):
        if not task.why_not:
            tree[f"/plan/{task.host}/{task.kernel}"] = _plan(task, loaded)
    return {
        ".fmf/version": "1\n",
        "fleet.fmf": yaml_text(tree, "A fleet of losttick as plans of tmt."),
        "plan.toml": loaded.plan_text,
        "ticks.sh": _SCRIPT,
    }


def _plan(task: Task, loaded: Loaded) -> dict[str, Any]:
    boots = task.boots
    return {
        "summary": f"Loads lose no timer interrupt on {task.host} under {task.kernel}",
        "discover": {"how": "fmf"},
        "provision": {"how": "beaker", "hardware": _hardware(task)},
        "execute": {"how": "tmt"},
        "environment": {
            "LOSTTICK": loaded.fleet.command,
            "KERNEL": boots.release if boots else "",
            "BOOT_ENTRY": (boots and boots.boot_entry) or "",
        },
    }


def _hardware(task: Task) -> dict[str, Any]:
    """Return the requirements: a host by its name, or any real one with Intel's virtualisation."""
    if task.place is not None:
        return {"hostname": task.place.address or task.place.name}
    return {"cpu": {"flag": ["vmx"]}, "virtualization": {"is-virtualized": False}}


def _minutes(loaded: Loaded) -> int:
    """Return the time limit of a run: twice what it takes, and ten minutes."""
    return int(2 * preview(loaded).run_s / 60) + 10
