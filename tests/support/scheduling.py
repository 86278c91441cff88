"""How tests that run side by side are shared out among processes."""

import functools
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController


class SharedOut(LoadScopeScheduling):
    """Gives each test to the next free process, and a file with a fixture of its own as a whole.

    Each process would make such a fixture anew, for instance boot the lab again.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::")[0]
        return file if _has_module_fixture(self.config.rootpath / file) else nodeid

    def mark_test_complete(
        self, node: WorkerController, item_index: int, duration: float = 0
    ) -> None:
        """Forget what is done: xdist counts all that a process has had after each test."""
        super().mark_test_complete(node, item_index, duration)
        scope = self._split_scope(self.registered_collections[node][item_index])
        if all(self.assigned_work[node][scope].values()):
            del self.assigned_work[node][scope]


@functools.cache
def _has_module_fixture(file: Path) -> bool:
    return 'fixture(scope="module"' in file.read_text()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> SharedOut | None:
    """Replace `--dist loadscope`.

    (`--dist loadgroup` of pytest-xdist 3.8 knows no groups where pytest is 9.2 or later.)
    """
    return SharedOut(config, log) if config.getoption("dist") == "loadscope" else None
