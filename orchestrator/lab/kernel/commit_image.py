"""Builds the kernel of a commit: image and KVM's modules, in losttick's cache.

A repository has one folder there: `source`, with the files of the commit that is being built, and
for each configuration a folder of objects. A step from one commit to the next writes only files
that differ, so that make compiles only what depends on them.
"""

import contextlib
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from orchestrator.cache.program import shipped
from orchestrator.cache.store import Entry, EntryInfo, Store
from orchestrator.cache.workshop import workshop
from orchestrator.errors import LosttickError
from orchestrator.lab.kernel.commit_build import MAKE, Build, CommitBuildError
from orchestrator.lab.kernel.kernel import Kernel, KernelNameError, KernelSource, read_kernel
from orchestrator.lab.kernel.modules import BuildPlaceError, ModuleBuildError, alone
from orchestrator.lab.kernel.options import faults, read_options
from orchestrator.lab.kernel.repository import Repository, git
from orchestrator.lab.kernel.tree import IMAGE, MODULE_PATHS, OPTIONS, Tree
from orchestrator.packages.kernel_store import kept_kernel
from orchestrator.process.tool import run_tool

#: Increase this when kernels are built in another way, so that kept ones are built again.
RECIPE = 1


#: Names that a build would take from its host and its time: two builds of one source are the same.
_ALWAYS = (
    "ARCH=x86_64", "CC=gcc", "KBUILD_BUILD_TIMESTAMP=1970-01-01", "KBUILD_BUILD_USER=losttick",
    "KBUILD_BUILD_HOST=lab", "KBUILD_BUILD_VERSION=1",
)  # fmt: skip


#: Paths that only KVM's modules are compiled from.
_ONLY_KVM = re.compile(r"arch/x86/kvm/(?!Kconfig)|virt/(?!.*Kconfig)")


#: A line of a configuration that sets an option.
_SETTING = re.compile(rb"^(?:CONFIG_\w+=.*|# CONFIG_\w+ is not set)$", re.M)


@dataclass(frozen=True, slots=True)
class BuildPlan:
    """What is built: a commit, and its configuration."""

    repository: Repository
    commit: str
    tree: str
    config: bytes
    minimal: bool
    """True if the configuration names only what must be set, and all else is off."""
    title: str

    def place(self, cache: Path) -> Path:
        """Return the folder of the repository's builds."""
        digest = hashlib.sha256(os.fsencode(self.repository.common)).hexdigest()[:12]
        return cache / "builds" / f"git-{digest}"

    @property
    def config_key(self) -> str:
        """Name of the folder of objects: one for each configuration, whatever its comments."""
        options = b"\n".join(_SETTING.findall(self.config))
        return hashlib.sha256(options + bytes([self.minimal])).hexdigest()[:12]


def minimal_config() -> bytes:
    """Return the options that a lab needs of a kernel."""
    return shipped("kernel.config").read_bytes()


def build_image(
    source: KernelSource, plan: BuildPlan, cache: Path, say: Callable[[str], None]
) -> Kernel:
    """Return the kernel of a commit, from the cache if it is there.

    Args:
        source: where the kernel comes from, for its name.
        plan: what is built.
        cache: losttick's cache folder.
        say: hears how far the build is.

    Raises:
        CommitBuildError: the commit does not build, or can't have what a lab needs.
        KernelNameError: the user's configuration does not do.
        BuildHostError, BuildPlaceError, TransientError: it can't be built here, or not now.
    """
    store = Store(cache / "kernels")
    compiler = run_tool(["gcc", "--version"], "asking gcc for its version").partition("\n")[0]
    recipe = (plan.tree, plan.config_key, compiler, RECIPE)
    key = f"git-{hashlib.sha256(repr(recipe).encode()).hexdigest()[:16]}"
    ready = kept_kernel(store, key)
    if ready is None:
        place = plan.place(cache)
        if re.search(r"[\s:#]", str(place)):
            raise BuildPlaceError(f"building {plan.title}: the kernel's build takes no path like "
                                  f"{place}. Let XDG_CACHE_HOME name another one.")  # fmt: skip
        with workshop(place) as work, alone(place) as busy:
            ready = kept_kernel(store, key)  # by another process, while we waited
            if ready is None:
                say(f"building {plan.title}")
                built = _Building(source, plan, place, say, busy).kernel()
                ready = _keep(store, key, built, plan, work)
    kernel = read_kernel(source, ready)
    return replace(kernel, version=f"{kernel.release}@{plan.commit[:12]}")


def _keep(store: Store, key: str, built: Kernel, plan: BuildPlan, work: Path) -> Entry:
    made = work / "made"
    made.mkdir()
    shutil.copy(built.image, made / "vmlinuz")
    for name, data in built.modules.items():
        (made / f"{name}.ko").write_bytes(data)
        run_tool(["strip", "--strip-debug", str(made / f"{name}.ko")], f"stripping {name}.ko")
    details = {"release": built.release, "commit": plan.commit}
    return store.add(key, made, EntryInfo(plan.title, built.release, time.time(), details))


@dataclass(frozen=True, slots=True)
class _Building:
    """A build that goes on, in the folder of its repository."""

    source: KernelSource
    plan: BuildPlan
    place: Path
    say: Callable[[str], None]
    busy: int

    @property
    def _files(self) -> Path:
        return self.place / "source"

    @property
    def _objects(self) -> Path:
        return self.place / f"objects-{self.plan.config_key}"

    @property
    def _image_of(self) -> Path:
        """The file that says of which tree and which options the image was built."""
        return self._objects / "image-of"

    def kernel(self) -> Kernel:
        """Build, and return the kernel as it lies in the folder of objects."""
        log = self.place / "logs" / f"{self.plan.commit[:12]}.log"
        build = Build(self.plan.title, log, self.say)
        self._check_out()
        with self._marked():
            return self._built(build)

    def _built(self, build: Build) -> Kernel:
        self._configure(build)
        modules = [str(path) for name, path in MODULE_PATHS.items() if self._is_module(name)]
        if not self._image_is_current(modules):
            self._image_of.unlink(missing_ok=True)
            self._make(build, "bzImage")
            self._image_of.write_text(f"{self.plan.tree} {self._options_digest()}")
        if modules:
            self._make(build, *modules)
        return Tree(self._objects, self.source.name).fetch(self.place)

    @contextlib.contextmanager
    def _marked(self) -> Iterator[None]:
        """Mark the objects while they are being built.

        The mark stays if this process is killed, or nobody waits for the build any more. Whatever
        was written since may be torn, and is removed before the next build.
        """
        mark = self._objects / "building"
        if mark.exists():
            since_ns = mark.stat().st_mtime_ns
            for path in self._objects.rglob("*"):
                if path.is_file() and path.stat().st_mtime_ns >= since_ns:
                    path.unlink()
        self._objects.mkdir(exist_ok=True)
        mark.touch()
        try:
            yield
        except LosttickError:  # make itself ended, and removed what it had not finished
            mark.unlink()
            raise
        mark.unlink()

    def _check_out(self) -> None:
        """Make the files of `source` those of the commit; leave the others untouched."""
        own = self.place / "repository"
        doing = f"checking out {self.plan.title} in {self.place}"
        if not (own / "HEAD").exists():
            git(["init", "--quiet", "--bare", str(own)], doing)
        (own / "index.lock").unlink(missing_ok=True)  # a killed git left it
        alternates = own / "objects/info/alternates"
        alternates.parent.mkdir(parents=True, exist_ok=True)
        alternates.write_text(f"{self.plan.repository.objects}\n")
        self._files.mkdir(exist_ok=True)
        git(
            [f"--git-dir={own}", f"--work-tree={self._files}", "-c", "core.bare=false",
             "-c", "core.autocrlf=false", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/",
             "read-tree", "-u", "--reset", self.plan.tree],
            doing,
        )  # fmt: skip

    def _configure(self, build: Build) -> None:
        """Write the configuration: for each commit anew, because options come and go."""
        wanted = self._objects / "wanted.config"
        wanted.write_bytes(self.plan.config)
        if self.plan.minimal:
            self._make(build, f"KCONFIG_ALLCONFIG={wanted}", "allnoconfig")
        else:
            shutil.copy(wanted, self._objects / ".config")
            self._make(build, "olddefconfig")
        if missing := faults(self._options()):
            what = f"its configuration does not do for a lab. It needs: {'; '.join(missing)}"
            if self.plan.minimal:
                raise CommitBuildError(f"building {self.plan.title}: {what}")
            raise KernelNameError(self.source.name, what)

    def _options(self) -> dict[str, str]:
        return read_options(self._objects / ".config")

    def _options_digest(self) -> str:
        return hashlib.sha256(repr(sorted(self._options().items())).encode()).hexdigest()

    def _is_module(self, name: str) -> bool:
        options = self._options()
        return next((options[each] for each in OPTIONS[name] if each in options), "n") == "m"

    def _image_is_current(self, modules: list[str]) -> bool:
        """Return whether only files of KVM's modules differ from those of the built image."""
        if not modules or not self._image_of.exists() or not (self._objects / IMAGE).exists():
            return False
        built, _, options = self._image_of.read_text().partition(" ")
        if options != self._options_digest():
            return False
        differing = self.plan.repository.differing(built, self.plan.tree)
        return all(_ONLY_KVM.match(path) for path in differing)

    def _make(self, build: Build, *targets: str) -> None:
        doing = f"building {self.plan.title}"
        with build.step(doing) as hear:
            run_tool(
                [*MAKE, "-C", str(self._files), f"O={self._objects}", f"-j{os.cpu_count() or 1}",
                 *_ALWAYS, *targets],
                doing, failed=ModuleBuildError, on_line=hear, hold=(self.busy,), cwd=self.place,
            )  # fmt: skip
