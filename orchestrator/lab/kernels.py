"""Kernels to boot in a lab: Debian's, of its packages, or of a tree that was built by hand.

Of Debian's packages only what a lab needs is kept: the kernel and KVM's modules, as they
were packaged. What the mirror has is read once for each suite and stands until a version
is asked for that was not there, or a refresh: two runs with one cache boot the same.
"""

import hashlib
import json
import lzma
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from orchestrator.errors import InputError
from orchestrator.lab.cache import Entry, Record, Store
from orchestrator.lab.packages import PackagesError, apt, cache_folder, run_tool, workshop

#: KVM's modules, in the order in which they load.
MODULES = ("irqbypass", "kvm", "kvm-intel")

#: Suites in which a version is looked for, newest first.
SUITES = (
    "sid", "trixie-backports", "forky", "trixie-security", "trixie", "bookworm-backports",
    "bookworm-security", "bookworm", "bullseye-security", "bullseye",
)  # fmt: skip

#: The newest kernel in which the one edit is enough that reverts the fix: an expiry outside
#: KVM_RUN is still injected (no `wants_to_run`), so base and untouched are the same.
DEFAULT_VERSION = "6.1.176-1"

#: Where that is pruned: suites whose newest kernel needs both edits, the quickest to boot first.
DEFAULT_SUITES = ("bookworm-security", "bookworm", "trixie-security", "trixie")

#: A list that was read longer ago is read anew before a version is said not to be there.
_CURRENT_S = 3600.0

_SUITE = re.compile(r"[a-z][a-z0-9-]*")
_VERSION = re.compile(r"[0-9][A-Za-z0-9.+~]*-[A-Za-z0-9.+~]+")
_KERNEL_PACKAGE = r"^linux-(image|binary|modules|headers|kbuild|source)-"
#: Depends on the newest kernel of its suite.
_META = "linux-image-cloud-amd64"
_FORMS = "name it as debian:SUITE, debian:VERSION, deb:FILE,… or tree:DIR"


class KernelNameError(InputError):
    """A kernel was named in a way that is not known."""

    def __init__(self, name: str, seen: str = "that is no kernel") -> None:
        super().__init__(f"kernel {name!r}: {seen}; {_FORMS}, such as debian:bookworm")


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel and its KVM modules."""

    name: str
    """As it was asked for."""
    version: str
    """Debian's version of the package; of a tree, its release."""
    release: str
    """As `uname -r` says it."""
    image: Path
    modules: dict[str, bytes]
    """The modules of `MODULES` that are not built in, by name."""
    files: tuple[Path, ...] = ()
    """The .deb files that it came from, if they were the user's."""
    variant: str = "untouched"
    """What was done to its modules."""


@dataclass(frozen=True, slots=True)
class Package:
    """A package of a suite."""

    name: str
    version: str
    suite: str
    uri: str
    sha256: str
    needs: tuple[str, ...]
    """Names of the packages that it depends on."""


def kernel(name: str, cache: Path | None = None, *, refresh: bool = False) -> Kernel:
    """Fetch a kernel; it is never edited.

    Args:
        name: `debian:SUITE`, the newest `linux-image-cloud-amd64` of that suite;
            `debian:VERSION`, that version of it from any suite; `deb:FILE,FILE…`, the
            packages of one kernel (image, and -binary and -modules where it is split so;
            for variants also -headers, -headers-common, -kbuild and linux-source);
            `tree:DIR`, a source tree in which bzImage and modules are built.
        cache: where to keep it; losttick's cache folder by default.
        refresh: read anew what a suite has.

    Raises:
        KernelNameError: the name has another form, or names what is not there.
        PackagesError: it can't be had.
    """
    cache = cache or cache_folder()
    kind, _, what = name.partition(":")
    if kind == "debian" and _SUITE.fullmatch(what):
        listed = packages(what, cache, older_than_s=time.time() if refresh else 0.0)
        newest = next((package for package in listed if package.name == _META), None)
        if newest is None:
            raise PackagesError(f"kernel {name}: {what} has no {_META}")
        return _debian(name, newest.version, cache)
    if kind == "debian" and _VERSION.fullmatch(what):
        return _debian(name, what, cache)
    if kind == "deb" and what:
        return _brought(name, tuple(Path(file) for file in what.split(",")), cache)
    if kind == "tree" and what:
        return _tree(name, Path(what))
    raise KernelNameError(name)


def default_kernel(cache: Path | None = None) -> Kernel:
    """Fetch the newest kernel that makes the shortest proof.

    That is `DEFAULT_VERSION`, in which base and untouched are the same; where the mirror
    has it no more (or not its source), the newest of a suite in which both edits are
    needed. `Kernel.version` says which it is, `variants.has_wants_to_run` whether a base is needed.

    Raises:
        PackagesError: none can be had.
    """
    try:
        found = kernel(f"debian:{DEFAULT_VERSION}", cache)
        if not build_place(found, cache).is_dir():
            build_packages(found, cache)
        return found
    except PackagesError as error:
        refused = error
    for suite in DEFAULT_SUITES:
        try:
            return kernel(f"debian:{suite}", cache)
        except PackagesError as error:
            refused = error
    raise refused


def _debian(name: str, version: str, cache: Path) -> Kernel:
    store = Store(cache / "kernels")
    if ready := _kept(store, version):
        return _loaded(name, ready)
    with workshop(cache / "kernels") as work:
        ready = _kept(store, version)
        if ready is None:
            archives = fetch(_find(version, _IMAGE, cache), work)
            ready = _keep(store, version, version, archives, work)
    return _loaded(name, ready)


def _brought(name: str, files: tuple[Path, ...], cache: Path) -> Kernel:
    for file in files:
        if not file.is_file():
            raise KernelNameError(name, f"there is no file {file}")
    digests = sorted(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)
    key = hashlib.sha256("".join(digests).encode()).hexdigest()[:16]
    store = Store(cache / "kernels")
    ready = _kept(store, key)
    if ready is None:
        with workshop(cache / "kernels") as work:
            about = [run_tool(["dpkg-deb", "-f", str(file), "Package", "Version"],
                              f"reading {file}") for file in files]  # fmt: skip
            image = next((a for a in about if re.search("^Package: linux-(image|binary)", a)), "")
            version = re.search(r"^Version: (\S+)", image, re.M)
            if version is None:
                raise KernelNameError(name, "none of the files is a package linux-image or -binary")
            ready = _keep(store, key, version[1], files, work)
    return _loaded(name, ready, tuple(file.resolve() for file in files))


def _tree(name: str, tree: Path) -> Kernel:
    image, release = tree / "arch/x86/boot/bzImage", tree / "include/config/kernel.release"
    for needed in (image, release):
        if not needed.is_file():
            raise KernelNameError(name, f"there is no {needed} (is the kernel built?)")
    paths = {
        "irqbypass": tree / "virt/lib/irqbypass.ko",
        "kvm": tree / "arch/x86/kvm/kvm.ko",
        "kvm-intel": tree / "arch/x86/kvm/kvm-intel.ko",
    }
    modules = {module: path.read_bytes() for module, path in paths.items() if path.is_file()}
    config = tree / "include/config/auto.conf"
    built_in = config.is_file() and "CONFIG_KVM_INTEL=y\n" in config.read_text()
    if "kvm-intel" not in modules and not built_in:
        raise KernelNameError(name, f"there is no {paths['kvm-intel']}, nor is it built in")
    said = release.read_text().strip()
    return Kernel(name, said, said, image, modules)


def _kept(store: Store, key: str) -> Entry | None:
    entry = store.find(key)
    return entry if entry and not entry.damage() else None


def _loaded(name: str, kept: Entry, files: tuple[Path, ...] = ()) -> Kernel:
    content = kept.content
    modules = {
        module: path.read_bytes()
        for module in MODULES
        if (path := content / f"{module}.ko").exists()
    }
    release = str(kept.record.details["release"])
    return Kernel(name, kept.record.version, release, content / "vmlinuz", modules, files)


def _keep(store: Store, key: str, version: str, archives: Sequence[Path], work: Path) -> Entry:
    """Keep the kernel and KVM's modules of some .deb files."""
    root, made = work / "root", work / "kernel"
    made.mkdir()
    for archive in archives:
        if not re.match("linux-(headers|kbuild|source)", archive.name):
            run_tool(["dpkg-deb", "-x", str(archive), str(root)], f"unpacking {archive.name}")
    images = [*root.glob("boot/vmlinuz-*"), *root.glob("usr/lib/modules/*/vmlinuz")]
    if len(images) != 1:
        raise PackagesError(f"kernel {version}: its packages have {len(images)} kernels, not one")
    (image,) = images
    in_boot = image.parent.name == "boot"
    release = image.name.removeprefix("vmlinuz-") if in_boot else image.parent.name
    shutil.copy(image, made / "vmlinuz")
    for module in MODULES:
        if data := _module(root, module):
            (made / f"{module}.ko").write_bytes(data)
    configs = [path.read_text() for path in root.glob(f"boot/config-{release}")]
    if not (made / "kvm-intel.ko").exists() and "\nCONFIG_KVM_INTEL=y\n" not in "".join(configs):
        raise PackagesError(
            f"kernel {version}: its packages have no kvm-intel.ko. "
            "Where a kernel is split, linux-modules belongs to it."
        )
    details = {"release": release, "packages": [archive.name for archive in archives]}
    return store.add(key, made, Record("kernel", version, time.time(), details))


def _module(root: Path, name: str) -> bytes | None:
    for path in root.rglob(f"{name}.ko*"):
        match path.suffix:
            case ".ko":
                return path.read_bytes()
            case ".xz":
                return lzma.decompress(path.read_bytes())
            case _:
                raise PackagesError(
                    f"reading {path.name}: it is compressed in a way that losttick does not read "
                    "(only .ko and .ko.xz). Name the kernel as tree:DIR, or unpack its modules."
                )
    return None


def build_place(kernel: Kernel, cache: Path | None = None) -> Path:
    """Return the folder in which a kernel's modules are built."""
    key = kernel.version
    if kernel.files:
        states = ((file, file.stat()) for file in kernel.files)
        files = [(str(file), state.st_size, state.st_mtime_ns) for file, state in states]
        key += "-" + hashlib.sha256(repr(files).encode()).hexdigest()[:16]
    return (cache or cache_folder()) / "builds" / key


def build_packages(kernel: Kernel, cache: Path | None = None) -> list[Package]:
    """Return the packages that a Debian kernel's modules are built from.

    Raises:
        PackagesError: the mirror has not all of them.
    """
    return _find(kernel.version, _build(re.escape(kernel.release)), cache or cache_folder())


def fetch(wanted: Sequence[Package], folder: Path) -> list[Path]:
    """Fetch packages into a folder; each is what its suite's signed index says.

    Raises:
        PackagesError: one did not come.
    """
    helper = ["/usr/lib/apt/apt-helper", "-o", "APT::Sandbox::User=", "download-file"]
    files = []
    for package in wanted:
        file = folder / package.uri.rpartition("/")[2]
        run_tool(
            [*helper, package.uri, str(file), f"SHA256:{package.sha256}"], f"fetching {file.name}"
        )
        files.append(file)
    return files


def packages(suite: str, cache: Path | None = None, *, older_than_s: float = 0.0) -> list[Package]:
    """Return the kernel packages of a suite, the newest version of each name first.

    Args:
        suite: such as `bookworm-security`.
        cache: where the list is kept.
        older_than_s: a list that was read before this time (since the epoch) is read anew.

    Raises:
        PackagesError: apt does not know the suite, or has no network.
    """
    place = (cache or cache_folder()) / "suites"
    index = place / f"{suite}.json"
    if not index.exists() or index.stat().st_mtime < older_than_s:
        with workshop(place) as work:
            found = [asdict(package) for package in _read_suite(suite, work / "apt")]
            (work / "index").write_text(json.dumps(found))
            (work / "index").replace(index)
    return [Package(**{**each, "needs": tuple(each["needs"])})
            for each in json.loads(index.read_text())]  # fmt: skip


def _read_suite(suite: str, state: Path) -> Iterator[Package]:
    mirror = "{security}" if suite.endswith("-security") else "{mirror}"
    command = apt(state, f"deb {mirror} {suite} main\n")
    doing = f"reading the package lists of {suite}"
    run_tool([*command, "update"], doing)
    targets = [*command, "indextargets", "--format", "$(SITE)", "Created-By: Packages"]
    site = run_tool(targets, doing).split()[0]
    query = ["apt-cache", *command[1:]]
    names = run_tool([*query, "search", "--names-only", _KERNEL_PACKAGE], doing).splitlines()
    if not names:
        return
    shown = run_tool([*query, "show", *(line.split()[0] for line in names)], doing)
    for stanza in shown.strip().split("\n\n"):
        fields = dict(re.findall(r"^([\w-]+): (.*)$", stanza, re.M))
        depends = fields.get("Depends", "")
        yield Package(
            fields["Package"], fields["Version"], suite, f"{site}/{fields['Filename']}",
            fields["SHA256"],
            tuple(part.split()[0] for part in depends.split(",") if part.strip()),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Packages of one version that belong together."""

    what: str
    roots: tuple[str, ...]
    """Patterns of names: there must be one of each."""
    kinds: str
    """Of what they depend on, the kinds that belong to it."""

    def among(
        self, had: Mapping[str, Package], others: Mapping[str, Package]
    ) -> list[Package] | None:
        """Return them, if all are there.

        Args:
            had: the packages of this version, by name.
            others: the newest of those of other versions.
        """
        found: dict[str, Package] = {}
        for root in self.roots:
            matching = {name: had[name] for name in had if re.fullmatch(root, name)}
            if not matching:
                return None
            found |= matching
        queue = list(found.values())
        while queue:
            for name in queue.pop().needs:
                if name in found or not re.match(f"linux-({self.kinds})-", name):
                    continue
                # Of linux-kbuild, older suites have the newest version only.
                package = had.get(name) or (others.get(name) if "-kbuild-" in name else None)
                if package is None:
                    return None
                found[name] = package
                queue.append(package)
        return list(found.values())


_IMAGE = _Wanted("the kernel", ("linux-image-.+-cloud-amd64",), "image|binary|modules")


def _build(release: str) -> _Wanted:
    """Return what modules are built from; `release` is a pattern."""
    roots = (f"linux-headers-{release}", r"linux-source-\d+\.\d+")
    return _Wanted("what modules are built from (headers, source)", roots, "headers|kbuild")


def _find(version: str, wanted: _Wanted, cache: Path) -> list[Package]:
    """Return packages of a version.

    Raises:
        PackagesError: no suite has all of them.
    """
    unread: dict[str, PackagesError] = {}
    for older_than_s in (0.0, time.time() - _CURRENT_S):
        had: dict[str, Package] = {}
        others: dict[str, Package] = {}
        for suite in _likely_first(version):
            try:
                listed = packages(suite, cache, older_than_s=older_than_s)
            except PackagesError as error:
                unread[suite] = error
                continue
            for package in listed:
                (had if package.version == version else others).setdefault(package.name, package)
            if found := wanted.among(had, others):
                return found
    raise PackagesError(_nowhere(version, wanted, cache, unread))


def _likely_first(version: str) -> list[str]:
    """Return the suites, those first that have such versions."""
    series = {"5.10": "bullseye", "6.1": "bookworm", "6.12": "trixie"}
    release = series.get(".".join(version.split(".")[:2]), "?")
    if backport := re.search(r"~(?:bpo|deb)(\d+)", version):
        numbers = {"11": "bullseye", "12": "bookworm", "13": "trixie"}
        release = numbers.get(backport[1], "?")
    return sorted(SUITES, key=lambda suite: not suite.startswith(release))


def _nowhere(
    version: str, wanted: _Wanted, cache: Path, unread: Mapping[str, PackagesError]
) -> str:
    """Return a sentence on what can be had instead."""
    anyhow = wanted if wanted is _IMAGE else _build(".+-cloud-amd64")
    near: dict[str, None] = {}
    newest: dict[str, None] = {}
    for suite in SUITES:
        listed = [] if suite in unread else packages(suite, cache)
        newest |= {package.version: None for package in listed if package.name == _META}
        others = {package.name: package for package in reversed(listed)}
        for each in dict.fromkeys(package.version for package in listed):
            had = {package.name: package for package in listed if package.version == each}
            if each.split(".")[:2] == version.split(".")[:2] and anyhow.among(had, others):
                near[each] = None
    return (
        f"kernel {version}: no suite of this mirror has {wanted.what} any more. "
        f"Of these it has: {', '.join(near or newest) or 'none'}. Or bring the packages: deb:FILE,…"
        + "".join(f". {suite} could not be read: {why}" for suite, why in unread.items())
    )
