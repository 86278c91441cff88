"""Kernels of one version are told apart wherever the output names them."""

import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.lab.arms import Arm
from orchestrator.lab.kernel.kernel import Kernel, KernelNameError
from orchestrator.lab.kernel.names import kernel, split_label
from orchestrator.lab.kernel.titles import told_apart
from tests.support.needs import not_applicable
from tests.support.trees import RELEASE, tree


def titles(*names: str) -> list[str]:
    return [each.title for each in told_apart(kernel(name) for name in names)]


def committed(place: Path, message: str) -> str:
    """Commit a tree, and return what git calls it."""
    if shutil.which("git") is None:
        not_applicable("git is not installed")
    git = ["git", "-C", str(place), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", message], check=True)
    said = subprocess.run(
        [*git, "describe", "--always"], check=True, capture_output=True, text=True
    )
    return said.stdout.strip()


def test_a_kernel_alone_is_called_by_its_version(tmp_path: Path) -> None:
    assert titles(f"tree:{tree(tmp_path)}") == [RELEASE]


def test_two_builds_of_one_release_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    one, other = tree(tmp_path / "a/linux", built="1"), tree(tmp_path / "b/linux", built="2")
    assert titles(f"tree:{one}", f"tree:{other}") == [f"{RELEASE}@a:linux", f"{RELEASE}@b:linux"]
    plain = tree(tmp_path / "before", built="3"), tree(tmp_path / "after it", built="4")
    assert titles(*(f"tree:{each}" for each in plain)) == [
        f"{RELEASE}@before", f"{RELEASE}@after_it",
    ]  # fmt: skip


def test_two_commits_are_told_apart_by_git(tmp_path: Path) -> None:
    one, other = tree(tmp_path / "a", built="1"), tree(tmp_path / "b", built="2")
    described = [committed(one, "before"), committed(other, "after")]
    assert titles(f"tree:{one}", f"tree:{other}") == [f"{RELEASE}@{each}" for each in described]


def test_builds_in_folders_of_their_own_are_described_by_their_sources(tmp_path: Path) -> None:
    names = []
    for name in ("a", "b"):
        (tmp_path / "source" / name).mkdir(parents=True)
        (tmp_path / "source" / name / "Makefile").write_text(name)
        place = tree(tmp_path / "build" / name, built=name)
        (place / "source").symlink_to(tmp_path / "source" / name)
        names.append(f"{RELEASE}@{committed(tmp_path / 'source' / name, name)}")
    assert titles(*(f"tree:{tmp_path / 'build' / name}" for name in ("a", "b"))) == names


def test_long_paths_make_no_long_titles(tmp_path: Path) -> None:
    long = "l" * 200
    one, other = (tree(tmp_path / name / long, built=name) for name in ("a", "b"))
    found = titles(f"tree:{one}", f"tree:{other}")
    assert len(set(found)) == 2
    assert max(map(len, found)) < 100


def test_one_kernel_under_two_names_is_one(tmp_path: Path) -> None:
    place = tree(tmp_path / "linux")
    (tmp_path / "link").symlink_to(place)
    assert titles(f"tree:{place}", f"tree:{tmp_path / 'link'}") == [RELEASE]
    assert titles(f"tree:{place}", f"mine=tree:{place}") == ["mine"]


def test_labels_are_the_users_own(tmp_path: Path) -> None:
    one, other = tree(tmp_path / "a", built="1"), tree(tmp_path / "b", built="2")
    assert titles(f"before=tree:{one}", f"after=tree:{other}") == ["before", "after"]
    assert titles(f"x=tree:{one}", f"y=tree:{one}") == ["x", "y"]
    # A label that is another kernel's version, and one that is what would tell it apart.
    taken = [f"{RELEASE}=tree:{one}", f"tree:{other}"]
    assert titles(*taken) == [RELEASE, f"{RELEASE}@b"]
    with pytest.raises(KernelNameError, match=r"its label x is that of tree:.*/a already"):
        titles(f"x=tree:{one}", f"x=tree:{other}")


def test_what_no_source_tells_apart_is_numbered(tmp_path: Path) -> None:
    class Same:
        name = "same"

        def marks(self, kernel: Kernel) -> list[str]:
            return ["mark"]

    plain = kernel(f"tree:{tree(tmp_path)}")
    twins = [
        replace(plain, source=Same(), modules={"kvm": bytes([n])})  # type: ignore[arg-type]  # a fake
        for n in range(3)
    ]
    found = [each.title for each in told_apart(twins)]
    assert found == [f"{RELEASE}@1", f"{RELEASE}@2", f"{RELEASE}@3"]


def test_a_title_is_in_every_name_of_an_arm(tmp_path: Path) -> None:
    arm = Arm(kernel(f"before=tree:{tree(tmp_path)}"), apicv=False)
    identity = arm.identity("Bochs")
    assert arm.name == identity.name == "before/untouched/no-apicv"
    assert (identity.version, identity.label) == (RELEASE, "before")


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("tree:/a=b", ("", "tree:/a=b")),
        ("mine=tree:/a=b", ("mine", "tree:/a=b")),
        ("v6.5-1+x~y=debian:bookworm", ("v6.5-1+x~y", "debian:bookworm")),
        ("a=b=tree:x", ("a", "b=tree:x")),
        ("bookworm", ("", "bookworm")),
    ],
)
def test_a_label_precedes_the_name(name: str, split: tuple[str, str]) -> None:
    assert split_label(name) == split


@pytest.mark.parametrize(
    "name", ["=tree:x", "a b=tree:x", "a/b=tree:x", "-x=tree:x", "ä=tree:x", f"{'x' * 65}=tree:x"]
)
def test_a_label_is_plain(name: str) -> None:
    with pytest.raises(KernelNameError, match="a label before = has at most 64"):
        kernel(name)
