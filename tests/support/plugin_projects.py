"""Projects of users who have losttick's pytest plugin, run by a pytest of their own."""

import os
import tomllib
from pathlib import Path

import pytest

from tests.support.places import ROOT

#: The options of every project. pytest-asyncio warns where its scope is not named.
INI = """
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
addopts = -p no:cacheprovider
"""

#: Gives tests named after a script a fake host that follows it, in virtual time.
FAKE_HOSTS = """
from dataclasses import replace

import pytest

from orchestrator.pytest_plugin import session
from orchestrator.pytest_plugin.loop_thread import LoopThread
from orchestrator.testing import FACTS, FakeHost, Script, VirtualTimeLoop
from orchestrator.testing import immediate, lost, only_in_trials

session.LoopThread = lambda: LoopThread(VirtualTimeLoop)


def pytest_asyncio_loop_factories():
    return {"virtual": VirtualTimeLoop}


@pytest.fixture
def losttick_host(request):
    amd = replace(FACTS, vendor="AuthenticAMD", vmx_flags=(), kvm_modules={"kvm_amd": {}})
    name = request.node.name
    lossy = "affected" in name or "anomalous" in name
    return FakeHost(
        Script(only_in_trials(lost if lossy else immediate)),
        amd if "anomalous" in name else FACTS,
    )
"""


def installed(place: Path) -> Path:
    """Return a folder that has losttick's metadata, as an installed losttick has them.

    The environment that runs the tests may have an older losttick, without the entry point.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    info = place / f"losttick-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: losttick\nVersion: {project['version']}\n"
    )
    entries = project["entry-points"]["pytest11"]
    lines = [f"{name} = {module}" for name, module in entries.items()]
    (info / "entry_points.txt").write_text("\n".join(["[pytest11]", *lines, ""]))
    return place


def project(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, **files: str
) -> pytest.Pytester:
    """Make a project of some Python files, and let its pytest have the plugin."""
    place = installed(pytester.path.parent / f"{pytester.path.name}-installed")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(place), str(ROOT)]))
    pytester.makefile(".ini", pytest=INI)
    pytester.makepyfile(**files)
    return pytester
