"""Rebuilds KVM's modules from a Debian kernel's own source, headers and build tools.

Only KVM is compiled. Its source is put into an unpacked tree of the headers, and built there as
an external module. The tree stays in the cache, so that the next build compiles only the files
that differ. Debian's build tools run by the C library of their own suite.
"""

import contextlib
import hashlib
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from orchestrator.cache.store import EntryInfo, Store
from orchestrator.cache.workshop import cache_folder, wait_for_lock, workshop
from orchestrator.errors import InfraError, UnfitError
from orchestrator.lab.kernel.kernel import Kernel, build_place
from orchestrator.packages.apt import PackagesError
from orchestrator.packages.suites import Package
from orchestrator.packages.trees import unpack
from orchestrator.process.tool import run_tool
from orchestrator.process.toolchain import need_tools

#: The modules that are built.
BUILT = ("kvm", "kvm-intel")


#: The parts of the source that are needed.
SOURCES = ("arch/x86/kvm", "virt")


#: Variables for make that override the kernel's configuration: only Intel's KVM, this host's
#: compiler, no debugging information.
MAKE_VARIABLES = (
    "CC=gcc", "CONFIG_KVM_AMD=", "CONFIG_KVM_WERROR=", "CONFIG_DEBUG_INFO=",
    "CONFIG_DEBUG_INFO_BTF_MODULES=",
)  # fmt: skip


#: Features of the compiler that the configuration names, and the option by which to test
#: whether this host's compiler has them.
COMPILER_FEATURES = {"CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT": "-fmin-function-alignment=16"}


#: Modules that the programs of edits import: an edit is another if one of them is.
SHARED = ("kernel_source", "shift_first_tick")


#: Increase this when modules are built in another way, so that kept ones are built again.
RECIPE = 1


#: About how many files a first build compiles.
COMPILED = 45


class BuildPlaceError(UnfitError):
    """The kernel's build can't run in losttick's cache folder."""


class ModuleBuildError(InfraError):
    """Modules could not be built."""


class EditError(InfraError):
    """An edit of the kernel's source did not find its place."""


def build_modules(
    kernel: Kernel,
    edits: Sequence[Path],
    cache: Path | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, bytes]:
    """Return a kernel's modules, built with some edits, from the cache if they are there.

    Two processes may do so at a time, and a process may be killed at any point.

    Args:
        kernel: the kernel.
        edits: programs that edit the source tree whose folder is their argument.
        cache: where to keep the modules; losttick's cache folder by default.
        progress: called with the number of compiled files, and about how many there are.

    Raises:
        NoKernelSourceError: the kernel came without its source.
        PackagesError: source, headers or build tools can't be had here.
        NoToolsError: there is no compiler or make.
        BuildPlaceError: the path of the cache is none for the kernel's build.
        EditError: an edit refused the source.
        ModuleBuildError: the build failed.
    """
    cache = cache or cache_folder()
    place = build_place(kernel, cache)
    key = _key(place, edits)
    store = Store(cache / "modules")
    if ready := kept_modules(store, key):
        return ready
    need_tools(f"building modules of {kernel.version}")
    with workshop(place) as work, alone(place) as busy:
        if ready := kept_modules(store, key):
            return ready
        prepare(kernel, place, work, cache)
        put_source(kernel, place / "tree", _edited(place / "tree", edits, work))
        made = make_modules(kernel, place / "tree", work, counting(progress), busy)
        names = [edit.stem for edit in edits]
        info = EntryInfo("modules", kernel.version, time.time(), {"edits": names})
        store.add(key, made, info)
    if ready := kept_modules(store, key):
        return ready
    raise ModuleBuildError(f"building modules of {kernel.version}: they are damaged in {cache}")


def lapic_source(kernel: Kernel, cache: Path | None = None) -> str:
    """Return the source file of a kernel's emulated LAPIC, as packaged.

    Raises:
        PackagesError: the source can't be had here.
        ModuleBuildError: the source could not be unpacked.
    """
    cache = cache or cache_folder()
    place = build_place(kernel, cache)
    if not (place / "tree").exists():
        with workshop(place) as work:
            prepare(kernel, place, work, cache)
    return (place / "tree" / "pristine" / "arch/x86/kvm/lapic.c").read_text()


@contextlib.contextmanager
def alone(place: Path) -> Iterator[int]:
    """Lock a folder of builds, and wait for the compilers of a killed build.

    Such compilers live on for some seconds, and write to the same files as the next build. Every
    process that inherits the returned descriptor holds the lock until it ends.
    """
    with (place / "busy").open("w") as busy:
        wait_for_lock(busy.fileno())
        yield busy.fileno()


def _key(place: Path, edits: Sequence[Path]) -> str:
    programs = [program.read_bytes() for edit in edits for program in sorted(edit.parent.glob("*"))
                if program == edit or program.stem in SHARED]  # fmt: skip
    recipe = (place.name, RECIPE, MAKE_VARIABLES, COMPILER_FEATURES, BUILT, programs)
    return hashlib.sha256(repr(recipe).encode()).hexdigest()[:16]


def kept_modules(store: Store, key: str) -> dict[str, bytes] | None:
    """Return built modules from the cache, unless they are damaged or not there."""
    entry = store.find(key)
    if entry is None or entry.damage():
        return None
    return {module: (entry.content / f"{module}.ko").read_bytes() for module in BUILT}


def prepare(kernel: Kernel, place: Path, work: Path, cache: Path) -> None:
    """Unpack source, headers and build tools, once for each kernel.

    The tree has `usr`, as packaged except for paths, and `pristine`, KVM's source.
    """
    if (place / "tree").exists():
        return
    need_tools(f"building modules of {kernel.version}")
    if re.search(r"[\s:#]", str(place)):
        raise BuildPlaceError(
            f"building modules of {kernel.version}: the kernel's build takes no path like {place}. "
            "Set XDG_CACHE_HOME to one without white space, colons and hashes."
        )
    tree = work / "tree"
    given = kernel.source.build_input(kernel, work, cache)
    for archive in given.archives:
        if not re.match("linux-(image|binary|modules)", archive.name):
            command = ["dpkg-deb", "-x", str(archive), str(tree)]
            run_tool(command, f"unpacking {archive.name}", failed=ModuleBuildError)
    _unpack_source(kernel, tree)
    headers, common = headers_of(kernel, tree)
    final = place / "tree"
    makefile = headers / "Makefile"
    makefile.write_text(makefile.read_text().replace("/usr/src/", f"{final}/usr/src/"))
    # Debian's file also names a compiler. Make's command line names this host's instead.
    (headers / ".kernelvariables").write_text(
        f"override ARCH = x86\noverride KERNELRELEASE = {kernel.release}\n"
        "DEBIAN_KERNEL_NO_CC_VERSION_CHECK = y\n"
    )
    for source in SOURCES:
        shutil.rmtree(common / source, ignore_errors=True)
    if given.build_tools:
        _bring_library(given.build_tools, tree, final, cache)
    tree.rename(final)


def _unpack_source(kernel: Kernel, tree: Path) -> None:
    archives = [*tree.glob("usr/src/linux-source-*.tar.xz")]
    if len(archives) != 1:
        raise PackagesError(
            f"building modules of {kernel.version}: there is no one archive of its source, but "
            f"{len(archives)}. Add linux-source of that version to the files."
        )
    (archive,) = archives
    top = archive.name.removesuffix(".tar.xz")
    pristine = tree / "pristine"
    pristine.mkdir()
    run_tool(
        ["tar", "-xf", str(archive), "-C", str(pristine), "--strip-components=1",
         *(f"{top}/{source}" for source in SOURCES)],
        f"unpacking {archive.name}", failed=ModuleBuildError,
    )  # fmt: skip
    archive.unlink()


def headers_of(kernel: Kernel, tree: Path) -> tuple[Path, Path]:
    """Return the folders of a kernel's own headers and of those it shares with other kernels."""
    headers = tree / "usr/src" / f"linux-headers-{kernel.release}"
    if not headers.is_dir():
        raise PackagesError(
            f"building modules of {kernel.version}: there is no {headers.name}. "
            "Add linux-headers, linux-headers-…-common and linux-kbuild to the files."
        )
    common = [*tree.glob("usr/src/linux-headers-*-common")]
    return headers, common[0] if len(common) == 1 else headers


def _bring_library(tools: Package, tree: Path, final: Path, cache: Path) -> None:
    """Make Debian's build tools run by the C library with which they were linked."""
    suite = tools.suite.removesuffix("-security").removesuffix("-backports")
    libraries = [name for name in tools.needs if name.startswith(("libc6", "libelf"))]
    library = unpack(suite, libraries, cache)
    shutil.copytree(library.root, tree / "library", symlinks=True)
    _, loader = library.command("")
    start = " ".join(loader).replace(str(library.root), f"{final}/library")
    for program in (tree / "usr/lib" / tools.name).rglob("*"):
        if program.is_symlink() or not program.is_file() or program.suffix == ".so":
            continue
        with program.open("rb") as file:
            if file.read(4) != b"\x7fELF":
                continue
        program.rename(program.with_name(f"{program.name}.elf"))
        program.write_text(f'#!/bin/sh\nexec {start} "$0.elf" "$@"\n')
        program.chmod(0o755)
    # In newer suites these two only start the one of several that is for this CPU.
    for pattern, kind in (("objtool.real-x86", "x86"), ("modpost.real-lsb-64", "lsb-64")):
        for real in (tree / "usr/lib" / tools.name).rglob(pattern):
            program = real.with_name(real.name.removesuffix(f".real-{kind}"))
            program.write_text(f'#!/bin/sh\nexec "$0.real-{kind}" "$@"\n')


def _edited(tree: Path, edits: Sequence[Path], work: Path) -> Path:
    """Return a folder with the pristine source, edited.

    Raises:
        EditError: an edit refused.
    """
    edited = work / "edited"
    shutil.copytree(tree / "pristine", edited, symlinks=True)
    for program in edits:
        run_tool(
            [sys.executable, str(program), str(edited)],
            f"editing the kernel's source by {program.name}", failed=EditError,
        )  # fmt: skip
    return edited


def put_source(kernel: Kernel, tree: Path, source: Path) -> None:
    """Make the source in the headers' tree that of a folder; touch no file that is the same.

    Files that an earlier source had put there, and that this one lacks, are removed.
    """
    _, common = headers_of(kernel, tree)
    mark = tree / "building"
    if mark.exists():  # a build was killed: its objects may be torn
        for part in SOURCES:
            shutil.rmtree(common / part, ignore_errors=True)
    mark.touch()
    listed = tree / "put"
    before = set(listed.read_text().split("\0")) if listed.exists() else set()
    files = {str(path.relative_to(source)) for path in source.rglob("*") if not path.is_dir()}
    listed.write_text("\0".join(sorted(before | files)))  # a killed copy is known to the next
    for name in before - files - {""}:
        (common / name).unlink(missing_ok=True)
    for name in files:
        new, target = source / name, common / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists() or target.read_bytes() != new.read_bytes():
            shutil.copy(new, target)
    listed.write_text("\0".join(sorted(files)))


def counting(progress: Callable[[int, int], None]) -> Callable[[str], None]:
    """Return a function that hears make's lines, and tells how many files are compiled."""
    compiled = 0

    def count(line: str) -> None:
        nonlocal compiled
        if line.startswith("CC "):
            compiled += 1
            progress(min(compiled, COMPILED), COMPILED)

    return count


def make_modules(
    kernel: Kernel, tree: Path, work: Path, on_line: Callable[[str], None], busy: int
) -> Path:
    """Compile; return a folder with the modules.

    Raises:
        ModuleBuildError: the build failed.
    """
    headers, common = headers_of(kernel, tree)
    lacking = [f"{name}=" for name, flag in COMPILER_FEATURES.items() if not _compiles(flag)]
    folder = common / "arch/x86/kvm"
    with _unmarked(tree / "building"):
        run_tool(
            ["make", f"-j{os.cpu_count() or 1}", "-C", str(headers), f"M={folder}",
             *MAKE_VARIABLES, *lacking, "modules"],
            f"building modules of {kernel.version}", failed=ModuleBuildError,
            on_line=on_line, hold=(busy,),
        )  # fmt: skip
    made = work / "modules"
    made.mkdir()
    for module in BUILT:
        shutil.copy(folder / f"{module}.ko", made)
    return made


@contextlib.contextmanager
def _unmarked(mark: Path) -> Iterator[None]:
    """Remove the mark of a build that came to its end: make leaves no torn object."""
    try:
        yield
    except ModuleBuildError:
        mark.unlink()
        raise
    mark.unlink()


def _compiles(flag: str) -> bool:
    asked = f"gcc {flag} -E -x c /dev/null >/dev/null 2>&1 && echo yes"
    return run_tool(["sh", "-c", asked], "asking gcc for an option", must=False).strip() == "yes"
