"""Builds the KVM modules of a commit against a Debian kernel, which then runs them.

This takes seconds to a minute where a whole kernel takes many, and it takes a repository that has
only KVM's source.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from orchestrator.cache.store import EntryInfo, Store
from orchestrator.cache.workshop import workshop
from orchestrator.lab.kernel.commit_build import Build
from orchestrator.lab.kernel.debian import Debian
from orchestrator.lab.kernel.kernel import Kernel, KernelNameError, KernelSource, build_place
from orchestrator.lab.kernel.modules import (
    BUILT,
    COMPILER_FEATURES,
    MAKE_VARIABLES,
    RECIPE,
    SOURCES,
    alone,
    headers_of,
    kept_modules,
    make_modules,
    prepare,
    put_source,
)
from orchestrator.lab.kernel.repository import Repository
from orchestrator.process.tool import run_tool
from orchestrator.process.toolchain import need_tools

#: Patterns of the headers that belong to KVM. A commit that has the first one brings all of them.
HEADERS = (
    "include/linux/kvm_host.h", "include/linux/kvm*.h", "include/trace/events/kvm.h",
    "include/uapi/linux/kvm.h", "arch/x86/include/asm/kvm*.h", "arch/x86/include/uapi/asm/kvm.h",
)  # fmt: skip


class DebianForCommits(Debian):
    """A Debian kernel whose modules are built in a folder apart from that of its variants."""

    def build_key(self, kernel: Kernel) -> str:
        """Return a name of its own."""
        return f"{kernel.version}-commits"


def build_on(
    base: Kernel,
    source: KernelSource,
    repository: Repository,
    commit: str,
    title: str,
    cache: Path,
    say: Callable[[str], None],
) -> Kernel:
    """Return a Debian kernel with the KVM modules of a commit, from the cache if they are there.

    Args:
        base: the Debian kernel, of `DebianForCommits`.
        source: the commit as a source of kernels, for its name.
        repository: the repository.
        commit: full name of the commit.
        title: the commit, in messages.
        cache: losttick's cache folder.
        say: hears how far the build is.

    Raises:
        CommitBuildError: the commit does not build against this kernel.
        KernelNameError: KVM is built into this kernel.
        NoToolsError, PackagesError, TransientError: it can't be built here, or not now.
    """
    if base.kvm_built_in:
        raise KernelNameError(source.name, f"KVM is built into {base.name}: no module replaces it")
    place = build_place(base, cache)
    parts = repository.ask(
        "ls-tree", "-r", "--full-tree", commit, *SOURCES, *(_folder(each) for each in HEADERS)
    )
    recipe = (place.name, RECIPE, MAKE_VARIABLES, COMPILER_FEATURES, BUILT, parts)
    key = f"git-{hashlib.sha256(repr(recipe).encode()).hexdigest()[:16]}"
    store = Store(cache / "modules")
    built = kept_modules(store, key)
    if built is None:
        need_tools(f"building {title}")
        with workshop(place) as work, alone(place) as busy:
            built = kept_modules(store, key)
            if built is None:
                say(f"building {title} on {base.version}")
                build = Build(title, place / "logs" / f"{commit[:12]}.log", say)
                prepare(base, place, work, cache)
                tree = place / "tree"
                _put(base, tree, repository, commit, work)
                with build.step(f"building {title}") as hear:
                    made = make_modules(base, tree, work, hear, busy)
                built = {name: (made / f"{name}.ko").read_bytes() for name in BUILT}
                info = EntryInfo("modules", title, time.time(), {"commit": commit})
                store.add(key, made, info)
    return replace(
        base,
        source=source,
        version=f"{base.version}@{commit[:12]}",
        modules={**base.modules, **built},
    )


def _folder(pattern: str) -> str:
    """Return the path that git lists for a pattern: ls-tree takes none."""
    return pattern if "*" not in pattern else f"{Path(pattern).parent}/"


def _put(kernel: Kernel, tree: Path, repository: Repository, commit: str, work: Path) -> None:
    """Put the commit's source into the tree; KVM's headers, too, if the commit has them."""
    put = work / "put"
    put.mkdir()
    _, common = headers_of(kernel, tree)
    packaged = tree / "packaged"
    if not packaged.exists():
        _copy(common, packaged)
    listed = repository.ask("ls-tree", "-r", "-z", "--full-tree", "--name-only", commit)
    files = [path for path in listed.split("\0") if path]
    headers = [path for path in files if any(fnmatchcase(path, each) for each in HEADERS)]
    if HEADERS[0] not in headers:
        _copy(packaged, put)
        headers = []
    top = {path.split("/")[0] for path in files}
    sources = [each for each in SOURCES if each.split("/")[0] in top]
    archive = work / "source.tar"
    repository.ask("archive", "--format=tar", "-o", str(archive), commit, *sources, *headers)
    run_tool(["tar", "-xf", str(archive), "-C", str(put)], f"unpacking {commit[:12]}")
    put_source(kernel, tree, put)


def _copy(common: Path, place: Path) -> None:
    """Copy KVM's headers."""
    for pattern in HEADERS:
        for path in common.glob(pattern):
            target = place / path.relative_to(common)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
