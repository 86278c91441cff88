"""Trees before and after a patch: *the* use of `tree:DIR`.

A tree is put together from a Debian kernel's image, its configuration, and its modules, as packaged
and with the fix reverted. Both trees have one release.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import UnfitError
from orchestrator.lab.kernel.kernel import Kernel, build_place
from orchestrator.lab.kernel.options import AUTO_CONF
from orchestrator.lab.kernel.tree import IMAGE, MODULE_PATHS
from orchestrator.lab.kernel.variants import Variant, modified
from tests.support.command import started
from tests.support.labs import fetched
from tests.support.needs import Need, lacking

pytestmark = [pytest.mark.thorough, pytest.mark.timeout(1200)]

TRIALS = 20


def as_tree(kernel: Kernel, place: Path) -> Path:
    """Lay out a kernel of packages as a tree that a user has built."""
    headers = build_place(kernel) / "tree/usr/src" / f"linux-headers-{kernel.release}"
    files = {
        IMAGE: kernel.image.read_bytes(),
        AUTO_CONF: (headers / AUTO_CONF).read_bytes(),
        **{MODULE_PATHS[name]: data for name, data in kernel.modules.items()},
    }
    for path, content in files.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(content)
    return place


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The tree without the fix, and the tree with it."""
    after = fetched()
    try:
        before = asyncio.run(modified(after, Variant.REVERT_FIX))
    except UnfitError as error:
        lacking(Need.LAB, f"a kernel without the fix: {error}")
    place = tmp_path_factory.mktemp("trees")
    return as_tree(before, place / "before"), as_tree(after, place / "after")


def lab_probe(*options: str) -> dict[str, Any]:
    wanted = ["--json", "--trials", str(TRIALS), "--tmcct=0", "--parallel=1"]
    with started("lab", "probe", *wanted, *options) as process:
        stdout, stderr = process.communicate()
    assert "Traceback" not in stderr
    found: dict[str, Any] = json.loads(stdout)
    return found


def test_two_trees_of_one_release_are_told_apart(trees: tuple[Path, Path], tmp_path: Path) -> None:
    before, after = trees
    found = lab_probe(f"--kernel=tree:{before}", f"--kernel=tree:{after}", f"--out={tmp_path}/out")
    by = {host["name"]: host for host in found["hosts"]}
    release = found["hosts"][0]["lab"]["version"]
    assert list(by) == [f"{release}@before/untouched", f"{release}@after/untouched"]
    lost = [host["series"][0]["lost"] for host in by.values()]
    assert lost == [TRIALS, 0]
    logs = sorted(path.name for path in (tmp_path / "out/serial").iterdir())
    assert logs == [f"1-{release}@before.log", f"2-{release}@after.log"]


def test_a_label_and_no_apicv(trees: tuple[Path, Path], tmp_path: Path) -> None:
    options = [f"--kernel=mine=tree:{trees[0]}", "--no-apicv", f"--out={tmp_path}/out"]
    (host,) = lab_probe(*options)["hosts"]
    assert host["name"] == "mine/untouched/no-apicv"
    assert host["lab"]["label"] == "mine"
    assert host["host"]["kvm_modules"]["kvm_intel"]["enable_apicv"] == "N"
    assert host["series"][0]["lost"] == 0
