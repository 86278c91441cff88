"""Kernels by name, and the kernel that is used when none is named.

What a mirror has is read once for each suite. It stands until a version is asked for that was
not there, or a refresh: two runs with one cache boot the same kernel.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from orchestrator.cache.workshop import cache_folder
from orchestrator.lab.kernel.commit import Commit, is_qualified
from orchestrator.lab.kernel.deb_files import DebFiles
from orchestrator.lab.kernel.debian import Debian
from orchestrator.lab.kernel.kernel import (
    Kernel,
    KernelNameError,
    KernelSource,
    build_place,
    silent,
)
from orchestrator.lab.kernel.tree import IMAGE, Tree
from orchestrator.packages.apt import PackagesError
from orchestrator.packages.kernel_index import build_packages
from orchestrator.process.existence import exists


def _tree(what: str) -> KernelSource:
    """Return a tree as the user has built it; a commit of a git tree in which nothing is built."""
    tree = None if is_qualified(what) else Tree.parse(what)
    if tree and (exists(tree.folder / IMAGE) or not exists(tree.folder / ".git")):
        return tree
    return Commit.parse(what)


#: Functions that parse the part of a kernel's name after the colon, by the part before it.
SOURCES: Mapping[str, Callable[[str], KernelSource]] = MappingProxyType(
    {"debian": Debian.parse, "deb": DebFiles.parse, "tree": _tree, "git": Commit.parse}
)


#: The newest Debian kernel without the condition `wants_to_run`. One edit is enough to revert
#: the fix there, and base and untouched are the same.
DEFAULT_VERSION = "6.1.176-1"


#: Suites to use if the mirror no longer has that version. Their newest kernels need both edits;
#: the kernel that boots fastest comes first.
DEFAULT_SUITES = ("bookworm-security", "bookworm", "trixie-security", "trixie")


#: A label before a kernel's name: `LABEL=tree:DIR`. A cell's id has it, between slashes.
_LABELLED = re.compile(r"([A-Za-z0-9][A-Za-z0-9._+~-]{0,63})=(.*)", re.S)


def split_label(name: str) -> tuple[str, str]:
    """Return the label and the rest of `LABEL=NAME`; the label of a plain name is empty.

    Raises:
        KernelNameError: what precedes the kind of kernel is no label.
    """
    kind, colon, _ = name.partition(":")
    if not colon or "=" not in kind:
        return "", name
    if not (labelled := _LABELLED.fullmatch(name)):
        raise KernelNameError(
            name, "a label before = has at most 64 letters, digits and . _ + ~ -, such as "
            "before=tree:~/linux"
        )  # fmt: skip
    return labelled[1], labelled[2]


def kernel_source(name: str) -> KernelSource:
    """Return the source of a kernel.

    Args:
        name: `debian:SUITE`, the newest `linux-image-cloud-amd64` of that suite;
            `debian:VERSION`, that version of it from any suite; `deb:FILE,FILE…`, the
            packages of one kernel (image, or -binary and -modules where the kernel is split;
            for variants also -headers, -headers-common, -kbuild and linux-source);
            `tree:DIR`, a source tree in which bzImage and modules are built;
            `git:DIR@REVISION`, a commit of a git repository, which is built here, by default
            the commit that is checked out (so does `tree:DIR` if nothing is built there). A
            label may come first: `LABEL=tree:DIR`.

    Raises:
        KernelNameError: the name has another form.
    """
    _, plain = split_label(name)
    kind, _, what = plain.partition(":")
    try:
        parse = SOURCES[kind]
    except KeyError:
        raise KernelNameError(name) from None
    return parse(what)


def kernel(
    name: str,
    cache: Path | None = None,
    *,
    refresh: bool = False,
    say: Callable[[str], None] = silent,
) -> Kernel:
    """Fetch a kernel, as it was packaged or built.

    Args:
        name: see `kernel_source`.
        cache: where to keep the kernel; losttick's cache folder by default.
        refresh: look again for what a suite has.
        say: hears how far a build is.

    Raises:
        KernelNameError: the name has another form, or names what is not there.
        PackagesError: the kernel can't be had here.
        CommitBuildError: the kernel is a commit that does not build.
    """
    found = kernel_source(name).fetch(cache or cache_folder(), refresh=refresh, say=say)
    return replace(found, label=split_label(name)[0])


def default_kernel(cache: Path | None = None) -> Kernel:
    """Fetch the kernel that makes the shortest proof.

    This is `DEFAULT_VERSION`. If the mirror does not have it any more, or not its source, it is
    the newest kernel of a suite in which both edits are needed. `Kernel.version` says which one
    it is, and `variants.has_wants_to_run` whether the proof needs a base.

    Raises:
        PackagesError: none can be had here.
    """
    try:
        found = kernel(f"debian:{DEFAULT_VERSION}", cache)
        if not build_place(found, cache).is_dir():
            build_packages(found.version, found.release, cache or cache_folder())
        return found
    except PackagesError as error:
        refused = error
    for suite in DEFAULT_SUITES:
        try:
            return kernel(f"debian:{suite}", cache)
        except PackagesError as error:
            refused = error
    raise refused
