from pathlib import Path

import pytest

from orchestrator.lab.kernel import names as kernels
from orchestrator.lab.kernel.kernel import BuildInput, Kernel, KernelNameError, build_place
from orchestrator.lab.kernel.names import DEFAULT_VERSION, default_kernel, kernel
from orchestrator.packages.apt import PackagesError
from orchestrator.packages.suites import Package
from tests.support.debian_kernels import of_debian


@pytest.mark.parametrize("name", ["bookworm", "debian:", "debian:6.1; rm", "deb:x.deb"])
def test_kernels_are_named_by_suite(name: str) -> None:
    with pytest.raises(KernelNameError, match="name it as debian:SUITE"):
        kernel(name)


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("bookworm", "that is no kernel"),
        ("debian:", "that is no kernel"),
        ("debian:6.1; rm", "that is no kernel"),
        ("debian:../etc", "that is no kernel"),
        ("deb:", "that is no kernel"),
        ("deb:x.deb", "there is no file x.deb"),
        ("tree:/nowhere", "there is no /nowhere/arch/x86/boot/bzImage (is the kernel built?)"),
    ],
)
def test_a_name_that_is_none_is_refused(name: str, seen: str) -> None:
    with pytest.raises(KernelNameError) as caught:
        kernel(name)
    assert str(caught.value).startswith(f"kernel {name!r}: {seen}; name it as debian:SUITE")


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

        def fetch(self, cache: Path, *, refresh: bool = False) -> Kernel:
            return Kernel(self, "9.9", "9.9.0", tmp_path / "image", {"kvm": b"k"})

        def build_key(self, kernel: Kernel) -> str:
            return f"parcel-{kernel.version}"

        def build_input(self, kernel: Kernel, folder: Path, cache: Path) -> BuildInput:
            return BuildInput((tmp_path / "source.deb",))

    monkeypatch.setattr(kernels, "SOURCES", {**kernels.SOURCES, "parcel": Parcel})
    found = kernel("parcel:one", tmp_path)
    assert (found.name, found.version) == ("parcel:one", "9.9")
    assert build_place(found, tmp_path) == tmp_path / "builds" / "parcel-9.9"
