from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.lab.kernel import names as kernels
from orchestrator.lab.kernel.kernel import (
    BuildInput,
    Kernel,
    KernelNameError,
    build_place,
    silent,
)
from orchestrator.lab.kernel.names import DEFAULT_VERSION, default_kernel, kernel, kernel_source
from orchestrator.packages import debian_kernel
from orchestrator.packages.apt import PackagesError
from orchestrator.packages.suites import NoSuiteError, Package
from tests.support.debian_kernels import of_debian

FORMS = (
    "that is no kernel; name it as debian:SUITE, debian:VERSION, deb:FILE,…, tree:DIR or "
    "git:DIR@COMMIT, such as debian:bookworm"
)


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("bookworm", FORMS),
        ("debian:", FORMS),
        ("debian:6.1; rm", FORMS),
        ("debian:../etc", FORMS),
        ("deb:", FORMS),
        ("tree:", FORMS),
        ("mine=bookworm", FORMS),
        ("deb:x.deb", "there is no file x.deb"),
        ("deb:~/x.deb", "there is no file ~/x.deb"),
        ("tree:/nowhere", "there is no folder /nowhere"),
    ],
)
def test_a_name_that_is_none_is_refused(name: str, seen: str) -> None:
    """The forms are listed only where the form is wrong."""
    with pytest.raises(KernelNameError) as caught:
        kernel(name)
    assert str(caught.value) == f"kernel {name!r}: {seen}"


def test_a_suite_that_the_mirror_lacks_is_named_with_those_that_have_kernels(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def packages(suite: str, cache: Path, **_: object) -> list[Package]:
        raise NoSuiteError(f"the mirror has no suite {suite}")

    monkeypatch.setattr(debian_kernel, "packages", packages)
    with pytest.raises(
        KernelNameError, match=r"no suite nonsense\. Suites with kernels are: sid, "
    ):
        kernel_source("debian:nonsense").check(tmp_path)


def test_the_default_falls_back_to_what_can_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    had = {"debian:bookworm"}

    def fetch(name: str, cache: Path) -> Kernel:
        if name not in had:
            raise PackagesError(f"{name} is pruned")
        return of_debian(name.removeprefix("debian:"))

    def sources(version: str, release: str, cache: Path) -> list[Package]:
        raise PackagesError("its source is pruned")

    monkeypatch.setattr(kernels, "kernel", fetch)
    monkeypatch.setattr(kernels, "build_packages", sources)
    assert default_kernel(tmp_path).version == "bookworm"
    had.add(f"debian:{DEFAULT_VERSION}")
    assert default_kernel(tmp_path).version == "bookworm"
    build_place(of_debian(DEFAULT_VERSION), tmp_path).mkdir(parents=True)  # source and all
    assert default_kernel(tmp_path).version == DEFAULT_VERSION
    had.clear()
    with pytest.raises(PackagesError, match="debian:trixie is pruned"):
        default_kernel(tmp_path)


def test_another_source_is_one_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Parcel:
        """A source of a test's own: `parcel:NAME`."""

        def __init__(self, what: str) -> None:
            self.name = f"parcel:{what}"

        def check(self, cache: Path) -> None:
            pass

        def check_variants(self) -> None:
            pass

        def marks(self, kernel: Kernel) -> list[str]:
            return []

        def fetch(
            self, cache: Path, *, refresh: bool = False, say: Callable[[str], None] = silent
        ) -> Kernel:
            return Kernel(self, "9.9", "9.9.0", tmp_path / "image", {"kvm": b"k"})

        def build_key(self, kernel: Kernel) -> str:
            return f"parcel-{kernel.version}"

        def build_input(self, kernel: Kernel, folder: Path, cache: Path) -> BuildInput:
            return BuildInput((tmp_path / "source.deb",))

    monkeypatch.setattr(kernels, "SOURCES", {**kernels.SOURCES, "parcel": Parcel})
    found = kernel("parcel:one", tmp_path)
    assert (found.name, found.version) == ("parcel:one", "9.9")
    assert build_place(found, tmp_path) == tmp_path / "builds" / "parcel-9.9"
