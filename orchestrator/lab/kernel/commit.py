"""A kernel of a commit in the user's git repository, which losttick builds by itself.

The repository is only read. Source and objects are in losttick's cache, so that the next commit
compiles only the files that differ.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.lab.kernel.commit_image import BuildPlan, build_image, minimal_config
from orchestrator.lab.kernel.commit_modules import DebianForCommits, build_on
from orchestrator.lab.kernel.kernel import (
    BuildInput,
    Kernel,
    KernelNameError,
    NoKernelSourceError,
    silent,
)
from orchestrator.lab.kernel.repository import Repository, RepositoryError
from orchestrator.process.existence import is_folder, no_file
from orchestrator.process.toolchain import BUILD_TOOLS, KERNEL_TOOLS, need_tools

#: An option at the end of a name.
_OPTION = re.compile(r"(.*),(config|on)=([^,]+)", re.S)


#: Digits of a commit's name in a kernel's version.
SHORT = 12


@dataclass(frozen=True, slots=True)
class Commit:
    """`git:DIR[@REVISION][,config=FILE][,on=debian:VERSION]`: a commit, by default HEAD."""

    repository: Repository
    commit: str
    tree: str
    """Git's name of what the commit contains."""
    revision: str = ""
    """The revision by which the user named the commit; empty for what is checked out."""
    config: Path | None = None
    """The kernel's configuration; None for the shortest one that a lab needs."""
    on: str = ""
    """The Debian kernel in which the commit's KVM modules run, as `debian:VERSION`; empty to
    build the commit's own kernel."""

    @classmethod
    def parse(cls, what: str) -> "Commit":
        """Return the source that a name means. The checked-out commit is read here.

        Raises:
            KernelNameError: there is no such repository, commit or configuration.
            MissingToolError: git is not installed.
        """
        options: dict[str, str] = {}
        name, place = f"git:{what}", what
        while found := _OPTION.fullmatch(place):
            place = found[1]
            options.setdefault(found[2], found[3])
        folder, revision = _split(name, place)
        try:
            repository = Repository.at(folder)
            commit = repository.commit(revision or "HEAD")
            tree = repository.tree(commit)
        except RepositoryError as error:
            raise KernelNameError(name, str(error)) from None
        on = options.get("on", "")
        if on and not on.startswith("debian:"):
            raise KernelNameError(name, "on= takes a kernel of Debian, such as on=debian:bookworm")
        if on and "config" in options:
            raise KernelNameError(name, "with on=, the configuration is that of Debian's kernel")
        config = _path(name, options["config"]) if "config" in options else None
        return cls(repository, commit, tree, revision, config, on)

    @property
    def named_by_hash(self) -> bool:
        """True if the name means this commit, whatever is checked out."""
        return bool(self.revision) and self.commit.startswith(self.revision.lower())

    @property
    def name(self) -> str:
        """The name of this very commit, whatever is checked out later."""
        config = f",config={self.config}" if self.config else ""
        on = f",on={self.on}" if self.on else ""
        return f"git:{self.repository.folder}@{self.commit}{config}{on}"

    def check(self, cache: Path) -> None:
        """Refuse what can't be built, as far as it is known without building.

        Raises:
            KernelNameError: files were changed and not committed, or the commit is no kernel.
            NoToolsError: tools to build with are missing.
        """
        if not self.revision:
            try:
                self.repository.check_unchanged()
            except RepositoryError as error:
                raise KernelNameError(self.name, str(error)) from None
        need_tools(f"building {self.name}", BUILD_TOOLS if self.on else KERNEL_TOOLS)
        if self.config and (why := no_file(self.config)):
            raise KernelNameError(self.name, why)
        if self.on:
            _base(self.on).check(cache)
            needed = "arch/x86/kvm"
        else:
            needed = "arch/x86/boot"
        if not self.repository.has(self.commit, needed):
            only = not self.on and self.repository.has(self.commit, "arch/x86/kvm")
            raise KernelNameError(
                self.name,
                "the commit has only KVM's source. Name the Debian kernel in which it runs: "
                "git:DIR,on=debian:VERSION"
                if only
                else f"the commit has no {needed}: it is no Linux source",
            )

    def fetch(
        self, cache: Path, *, refresh: bool = False, say: Callable[[str], None] = silent
    ) -> Kernel:
        """Return the kernel, built unless the cache has it; see `KernelSource.fetch`.

        Raises:
            CommitBuildError: the commit does not build.
        """
        self.check(cache)
        title = f"{self.repository.folder.resolve().name}@{self.commit[:SHORT]}"
        if self.on:
            base = _base(self.on).fetch(cache, refresh=refresh)
            return build_on(base, self, self.repository, self.commit, title, cache, say)
        config = self.config.read_bytes() if self.config else minimal_config()
        plan = BuildPlan(
            self.repository, self.commit, self.tree, config, minimal=not self.config, title=title
        )
        return build_image(self, plan, cache, say)

    def check_variants(self) -> None:
        """Refuse, as `build_input` does."""
        raise self._refusal()

    def marks(self, kernel: Kernel) -> Sequence[str]:
        """Return what tells two kernels of one commit apart: their configurations differ."""
        return (hashlib.sha256(self.name.encode()).hexdigest()[:8],)

    def build_key(self, kernel: Kernel) -> str:
        """Refuse, as `build_input` does."""
        raise self._refusal()

    def build_input(self, kernel: Kernel, folder: Path, cache: Path) -> BuildInput:
        """Refuse: a commit is tested as it is."""
        raise self._refusal()

    def _refusal(self) -> NoKernelSourceError:
        return NoKernelSourceError(
            f"kernel {self.name}: a commit is tested as it is. Commit an edit and name that commit"
        )


def is_qualified(what: str) -> bool:
    """Return whether a name has a revision or an option, so that it can only mean a commit."""
    return bool(_OPTION.fullmatch(what)) or ("@" in what and not is_folder(_path(what, what)))


def _base(name: str) -> DebianForCommits:
    return DebianForCommits.parse(name.removeprefix("debian:"))


def _path(name: str, what: str) -> Path:
    try:
        return Path(what).expanduser().absolute()
    except RuntimeError:
        raise KernelNameError(name, "no user has such a home folder") from None


def _split(name: str, place: str) -> tuple[Path, str]:
    """Return the folder and the revision of `DIR@REVISION`; a folder's own name may have an @."""
    if not place:
        raise KernelNameError(name, "name the folder of a git repository, such as git:~/linux")
    whole = _path(name, place)
    folder, at, revision = place.rpartition("@")
    if is_folder(whole) or not at:
        return whole, ""
    if not folder or not revision:
        raise KernelNameError(name, "a revision follows the folder: git:DIR@REVISION")
    return _path(name, folder), revision
