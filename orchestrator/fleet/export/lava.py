"""A fleet as jobs of LAVA: one for each host and kernel."""

import base64
import shlex
from collections.abc import Mapping
from typing import Any

from orchestrator.fleet.body import command
from orchestrator.fleet.export.yaml_text import yaml_text
from orchestrator.fleet.load import Loaded
from orchestrator.fleet.preview import preview
from orchestrator.fleet.task import Task, tasks

_COMMENT = "A task of a losttick fleet as a job of LAVA. Replace the URLs; the root has losttick."

#: LAVA's words for the exit codes of losttick.
_RESULT = "case $code in 0) r=pass;; 1|5) r=fail;; 3) r=skip;; *) r=unknown;; esac"


def lava_files(loaded: Loaded) -> Mapping[str, str]:
    """Return a job for each task that can be run, by the name of its file.

    Raises:
        InputError: the plan has no cells.
    """
    minutes = int(2 * preview(loaded).run_s / 60) + 10
    return {
        f"{task.id}.yaml": yaml_text(_job(task, loaded, minutes), _COMMENT)
        for task in tasks(loaded.fleet)
        if not task.why_not
    }


def _job(task: Task, loaded: Loaded, minutes: int) -> dict[str, Any]:
    release = task.boots.release if task.boots else "booted"
    where = f"https://example.com/{release}"
    return {
        "job_name": f"losttick {task.id}",
        "device_type": "x86",
        "tags": [task.place.name if task.place else task.host],
        "priority": "medium",
        "visibility": "public",
        "timeouts": {
            "job": {"minutes": minutes + 60},
            "action": {"minutes": minutes},
            "connection": {"minutes": 5},
        },
        "actions": [
            {
                "deploy": {
                    "timeout": {"minutes": 20},
                    "to": "tftp",
                    "os": "debian",
                    "kernel": {"url": f"{where}/bzImage", "type": "image"},
                    "modules": {"url": f"{where}/modules.tar.xz", "compression": "xz"},
                    "nfsrootfs": {
                        "url": "https://example.com/rootfs.tar.xz", "compression": "xz",
                    },
                }
            },
            {
                "boot": {
                    "timeout": {"minutes": 10},
                    "method": "ipxe",
                    "commands": "nfs",
                    "prompts": ["root@"],
                    "auto_login": {"login_prompt": "login:", "username": "root"},
                }
            },
            {
                "test": {
                    "timeout": {"minutes": minutes},
                    "definitions": [
                        {
                            "from": "inline",
                            "name": "losttick",
                            "path": "inline/losttick.yaml",
                            "repository": _definition(task, loaded),
                        }
                    ],
                }
            },
        ],
    }  # fmt: skip


def _definition(task: Task, loaded: Loaded) -> dict[str, Any]:
    plan = base64.b64encode(loaded.plan_text.encode()).decode()
    words = command(task, [loaded.fleet.command], plan="plan.toml", out="run")
    return {
        "metadata": {
            "format": "Lava-Test Test Definition 1.0",
            "name": "losttick",
            "description": "Does this host lose timer interrupts when a snapshot is loaded?",
        },
        "run": {
            "steps": [
                f"echo {plan} | base64 -d >plan.toml",
                f"code=0; {shlex.join(words)} || code=$?",
                f"{_RESULT}; lava-test-case losttick --result $r",
            ]
        },
    }
