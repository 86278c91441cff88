"""Kernels of commits: how they are named, and how they are built."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.cache.program import shipped
from orchestrator.errors import LosttickError, TransientError
from orchestrator.lab.kernel import commit as commit_module
from orchestrator.lab.kernel.commit import Commit
from orchestrator.lab.kernel.commit_build import BuildHostError, CommitBuildError
from orchestrator.lab.kernel.kernel import Kernel, KernelNameError, NoKernelSourceError
from orchestrator.lab.kernel.names import kernel, kernel_source
from orchestrator.lab.kernel.options import faults, read_options
from orchestrator.lab.kernel.titles import told_apart
from orchestrator.lab.kernel.tree import Tree
from orchestrator.lab.kernel.variants import Variant, modify
from tests.support.git import commit, git
from tests.support.needs import Need, lacking
from tests.support.small_linux import module_source, small_linux
from tests.support.trees import RELEASE, tree

KVM_C = "arch/x86/kvm/kvm.c"


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what this small source needs: no flex, no bison."""
    if not all(map(shutil.which, ("gcc", "make", "git", "strip"))):
        lacking(Need.COMPILER, "gcc, make, git or strip is not installed")
    monkeypatch.setattr(commit_module, "need_tools", lambda doing, needed: None)
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def linux(tmp_path: Path) -> Path:
    return small_linux(tmp_path / "linux")


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def change(place: Path, path: str, text: str, subject: str = "a change") -> str:
    (place / path).write_text(text)
    return commit(place, subject)


def images(cache: Path) -> int:
    """Return how often an image was built."""
    (counted,) = cache.glob("builds/git-*/objects-*/images")
    return len(counted.read_text().splitlines())


def files_of(place: Path) -> Iterator[tuple[str, int]]:
    for path in sorted(place.rglob("*")):
        yield str(path), path.stat().st_mtime_ns


def refused(name: str) -> str:
    with pytest.raises(KernelNameError) as caught:
        kernel_source(name).check(Path("/nowhere"))
    return str(caught.value)


def test_a_commit_is_built_and_kept_and_its_tree_is_left_alone(linux: Path, cache: Path) -> None:
    before = list(files_of(linux))
    found = kernel(f"git:{linux}", cache)
    head = git(linux, "rev-parse", "HEAD")
    assert (found.release, found.version) == (RELEASE, f"{RELEASE}@{head[:12]}")
    assert found.name == f"git:{linux}@{head}", "another checkout must not change what was tested"
    assert set(found.modules) == {"irqbypass", "kvm", "kvm-intel"}
    again = kernel(f"git:{linux}@main", cache)
    assert (again.digest, images(cache)) == (found.digest, 1)
    assert list(files_of(linux)) == before
    with pytest.raises(NoKernelSourceError):
        modify(found, Variant.REVERT_FIX, cache=cache)


def test_only_what_differs_is_built(linux: Path, cache: Path) -> None:
    first = kernel(f"git:{linux}", cache)
    change(linux, KVM_C, module_source("irqbypass", "int more;"))
    second = kernel(f"git:{linux}", cache)
    assert images(cache) == 1, "only a module differs"
    assert second.modules["kvm"] != first.modules["kvm"]
    assert second.modules["kvm-intel"] == first.modules["kvm-intel"]
    change(linux, "kernel/core.c", "int other;\n")
    kernel(f"git:{linux}", cache)
    assert images(cache) == 2
    git(linux, "checkout", "--quiet", "main~2")
    assert kernel(f"git:{linux}", cache).digest == first.digest
    git(linux, "checkout", "--quiet", "main~1")
    commit(linux, "an empty commit")
    same = kernel(f"git:{linux}", cache)
    assert (same.digest, images(cache)) == (second.digest, 2), "the same files are the same kernel"
    assert len(told_apart([first, second, same])) == 2


def build_error(linux: Path, cache: Path, wanted: type[LosttickError]) -> str:
    with pytest.raises(wanted) as caught:
        kernel(f"git:{linux}", cache)
    assert caught.value.of_subject is (wanted is CommitBuildError)
    return str(caught.value)


def test_a_commit_that_does_not_build_is_named_with_its_log(linux: Path, cache: Path) -> None:
    good = kernel(f"git:{linux}", cache)
    head = change(linux, KVM_C, "this does not compile;\n")
    said = build_error(linux, cache, CommitBuildError)
    (log,) = cache.glob(f"builds/git-*/logs/{head[:12]}.log")
    assert f"The last lines of {log}:\n" in said
    assert "error: unknown type name" in said
    change(linux, KVM_C, module_source("irqbypass"))
    assert kernel(f"git:{linux}", cache).digest == good.digest


@pytest.mark.parametrize(
    ("printed", "wanted", "said"),
    [
        ("gcc: fatal error: Killed signal terminated program cc1", TransientError, "memory"),
        ("as: No space left on device", TransientError, "No space left"),
        ("/bin/sh: 1: pahole: not found", BuildHostError, "this host has no pahole"),
        ("fatal error: gelf.h: No such file or directory", BuildHostError, "has no gelf.h"),
    ],
)
def test_a_host_that_can_not_build_is_no_bad_commit(
    printed: str, wanted: type[LosttickError], said: str, linux: Path, cache: Path
) -> None:
    makefile = (linux / "Makefile").read_text()
    change(
        linux, "Makefile", makefile.replace("bzImage:", f"bzImage:\n\t@echo '{printed}'; exit 2")
    )
    assert said in build_error(linux, cache, wanted)


def test_a_configuration_without_what_a_lab_needs(linux: Path, cache: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.config"
    own.write_text("CONFIG_64BIT=y\n")
    with pytest.raises(KernelNameError, match="CONFIG_KVM=y or =m"):
        kernel(f"git:{linux},config={own}", cache)
    shutil.copy(linux / "config", own)
    found = kernel(f"git:{linux},config={own}", cache)
    assert found.name.endswith(f",config={own}")
    config = (linux / "config").read_text()
    change(linux, "config", config.replace("CONFIG_KVM_INTEL=m", ""))
    assert "CONFIG_KVM_INTEL=y or =m" in build_error(linux, cache, CommitBuildError)


def test_changes_that_are_in_no_commit_are_refused(linux: Path, cache: Path) -> None:
    (linux / "untracked").write_text("")
    (linux / KVM_C).write_text("int changed;\n")
    said = refused(f"git:{linux}")
    assert f"has changes that are in no commit ({KVM_C})" in said
    kernel_source(f"git:{linux}@HEAD").check(cache)
    git(linux, "add", KVM_C)
    assert KVM_C in refused(f"git:{linux}")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("git:", "name the folder of a git repository"),
        ("git:{place}/none", "there is no folder {place}/none"),
        ("git:{place}", "looking for a git repository"),
        ("git:{linux}@nothing", "has no commit nothing"),
        ("git:{linux}@--help", "has no commit --help"),
        ("git:{linux}@", "a revision follows the folder"),
        ("git:{linux},on=tree:x", "on= takes a kernel of Debian"),
        ("git:{linux},on=debian:bookworm,config=x", "the configuration is that of Debian's"),
        ("git:{linux},config=/none", "there is no file /none"),
    ],
)
def test_names_that_mean_nothing(name: str, said: str, linux: Path, tmp_path: Path) -> None:
    (place := tmp_path / "empty").mkdir()
    words = {"place": place, "linux": linux}
    assert said.format(**words) in refused(name.format(**words))


def test_a_repository_of_something_else(linux: Path) -> None:
    git(linux, "rm", "-r", "--quiet", "arch/x86/boot")
    commit(linux, "only KVM")
    assert "the commit has only KVM's source" in refused(f"git:{linux}")
    git(linux, "rm", "-r", "--quiet", "arch")
    commit(linux, "nothing")
    assert "it is no Linux source" in refused(f"git:{linux}")


def test_a_tree_is_a_commit_until_something_is_built_in_it(linux: Path) -> None:
    assert isinstance(kernel_source(f"tree:{linux}"), Commit)
    tree(linux)
    assert isinstance(kernel_source(f"tree:{linux}"), Tree)
    assert isinstance(kernel_source(f"tree:{linux}@main"), Commit)


def test_a_git_around_names_another_repository(
    linux: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`git bisect run` and hooks set these variables."""
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "none"))
    monkeypatch.setenv("GIT_WORK_TREE", str(tmp_path))
    found = kernel_source(f"git:{linux}")
    assert isinstance(found, Commit)
    assert found.commit == git(linux, "rev-parse", "main")


def test_a_killed_checkout_is_gone_over_again(linux: Path, cache: Path) -> None:
    found = kernel(f"git:{linux}", cache)
    (place,) = cache.glob("builds/git-*")
    (place / "repository/index.lock").touch()
    (place / "source/kernel/core.c").write_text("torn")
    head = change(linux, "Makefile", (linux / "Makefile").read_text() + "\n# more\n")
    again: Kernel = kernel(f"git:{linux}", cache)
    assert (again.digest, head[:12] in again.version) == (found.digest, True)
    assert (place / "source/kernel/core.c").read_text() == "int core;\n"


def test_what_a_killed_build_has_written_is_not_trusted(linux: Path, cache: Path) -> None:
    kernel(f"git:{linux}", cache)
    (objects,) = cache.glob("builds/git-*/objects-*")
    for name, time_s in (("old.o", 100), ("building", 200), ("torn.o", 200)):
        (objects / name).touch()
        os.utime(objects / name, (time_s, time_s))
    change(linux, "file", "another commit")
    kernel(f"git:{linux}", cache)
    assert {path.name for path in objects.glob("*.o")} == {"old.o", "core.o"}
    assert not (objects / "building").exists()


def test_the_shortest_configuration_has_whatever_a_lab_needs() -> None:
    assert faults(read_options(shipped("kernel.config"))) == []
