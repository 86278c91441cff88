import json
import lzma
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest

from orchestrator.lab.kernel import debian
from orchestrator.lab.kernel import names as kernels
from orchestrator.lab.kernel.debian import SUITES, build_packages
from orchestrator.lab.kernel.kernel import Kernel, KernelNameError, build_place
from orchestrator.lab.kernel.names import DEFAULT_VERSION, default_kernel, kernel
from orchestrator.packages.apt import PackagesError
from orchestrator.packages.suites import Package

RELEASE = "9.1.0-1-cloud-amd64"


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


def package(name: str, version: str, *needs: str, suite: str = "sid") -> Package:
    return Package(name, version, suite, f"http://mirror/{name}.deb", "00", needs)


def listed(cache: Path, found: dict[str, list[Package]]) -> None:
    """Let the cache say what the suites have."""
    (cache / "suites").mkdir()
    for suite in SUITES:
        entries = [asdict(each) for each in found.get(suite, [])]
        (cache / "suites" / f"{suite}.json").write_text(json.dumps(entries))


def whole(version: str, release: str = RELEASE) -> list[Package]:
    """Return what a version that can be built has."""
    plain = release.removesuffix("-cloud-amd64")
    return [
        package("linux-image-cloud-amd64", version, f"linux-image-{release}"),
        package(f"linux-image-{release}", version, f"linux-binary-{release}", "kmod",
                f"linux-modules-{release}"),
        package(f"linux-binary-{release}", version),
        package(f"linux-modules-{release}", version),
        package(f"linux-headers-{release}", version, f"linux-headers-{plain}-common",
                f"linux-kbuild-{plain}", f"linux-image-{release}", "gcc-14"),
        package(f"linux-headers-{plain}-common", version),
        package(f"linux-kbuild-{plain}", version, "libc6"),
        package("linux-source-9.1", version),
    ]  # fmt: skip


def of_debian(version: str) -> Kernel:
    return Kernel(f"debian:{version}", version, RELEASE, Path("vmlinuz"), {})


def test_modules_are_built_from_one_version(tmp_path: Path) -> None:
    listed(tmp_path, {"sid": whole("9.1.2-1") + whole("9.1.1-1")})
    found = build_packages(of_debian("9.1.1-1"), tmp_path)
    assert {each.version for each in found} == {"9.1.1-1"}
    assert {each.name for each in found} == {
        f"linux-headers-{RELEASE}", "linux-headers-9.1.0-1-common", "linux-kbuild-9.1.0-1",
        "linux-source-9.1",
    }  # fmt: skip


def test_build_tools_may_be_newer(tmp_path: Path) -> None:
    older = [each for each in whole("9.1.1-1") if "kbuild" not in each.name]
    listed(tmp_path, {"sid": whole("9.1.2-1") + older})
    found = {each.name: each.version for each in build_packages(of_debian("9.1.1-1"), tmp_path)}
    assert found["linux-kbuild-9.1.0-1"] == "9.1.2-1"
    assert found["linux-source-9.1"] == "9.1.1-1"


def test_parts_of_a_version_may_be_in_two_suites(tmp_path: Path) -> None:
    split = whole("9.1.1-1")
    listed(tmp_path, {"trixie-security": split[:5], "trixie": split[5:]})
    assert len(build_packages(of_debian("9.1.1-1"), tmp_path)) == 4


def test_what_is_pruned_is_said_with_what_can_be_had(tmp_path: Path) -> None:
    pruned = [each for each in whole("9.1.1-1") if "source" not in each.name]
    listed(tmp_path, {"sid": pruned + whole("9.1.3-1"), "bookworm": whole("6.1.9-1")})
    with pytest.raises(PackagesError) as caught:
        build_packages(of_debian("9.1.1-1"), tmp_path)
    assert str(caught.value) == (
        "kernel 9.1.1-1: no suite of this mirror has what modules are built from (headers, "
        "source) any more. Of these it has: 9.1.3-1. Or bring the packages: deb:FILE,…"
    )
    with pytest.raises(
        PackagesError, match=r"the kernel any more\. .*: 9.1.1-1, 9.1.3-1, 6.1.9-1\."
    ):
        kernel("debian:8.1.1-1", tmp_path)


def test_without_its_modules_a_kernel_cannot_be_had(tmp_path: Path) -> None:
    pruned = [each for each in whole("9.1.1-1") if "modules" not in each.name]
    listed(tmp_path, {"sid": pruned})
    with pytest.raises(PackagesError, match="no suite of this mirror has the kernel"):
        kernel("debian:9.1.1-1", tmp_path)


@pytest.mark.parametrize(
    ("version", "first"),
    [
        ("5.10.262-1", "bullseye-security"),
        ("6.1.176-1", "bookworm-backports"),
        ("6.1.176-1~deb11u1", "bullseye-security"),
        ("6.12.95-1~bpo12+1", "bookworm-backports"),
        ("6.12.117-1", "trixie-backports"),
        ("7.2.12-1", "sid"),
    ],
)
def test_suites_are_read_in_the_likely_order(version: str, first: str) -> None:
    order = debian._likely_first(version)
    assert order[0] == first
    assert sorted(order) == sorted(SUITES)


def test_the_default_falls_back_to_what_can_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    had = {"debian:bookworm"}

    def fetch(name: str, cache: Path) -> Kernel:
        if name not in had:
            raise PackagesError(f"{name} is pruned")
        return of_debian(name.removeprefix("debian:"))

    def sources(found: Kernel, cache: Path) -> list[Package]:
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


def tree(place: Path, modules: dict[str, str], config: str = "") -> Path:
    files = {"arch/x86/boot/bzImage": "kernel", "include/config/kernel.release": "9.9.0-own\n",
             "include/config/auto.conf": config, **modules}  # fmt: skip
    for name, content in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(content)
    return place


def test_a_tree(tmp_path: Path) -> None:
    modules = {"arch/x86/kvm/kvm.ko": "k", "arch/x86/kvm/kvm-intel.ko": "i"}
    found = kernel(f"tree:{tree(tmp_path, modules)}")
    assert (found.version, found.release) == ("9.9.0-own", "9.9.0-own")
    assert found.image.read_text() == "kernel"
    assert found.modules == {"kvm": b"k", "kvm-intel": b"i"}


def test_a_tree_with_kvm_built_in_or_not_at_all(tmp_path: Path) -> None:
    built_in = tree(tmp_path / "y", {}, "CONFIG_KVM_INTEL=y\n")
    assert kernel(f"tree:{built_in}").modules == {}
    not_built = tree(tmp_path / "m", {}, "CONFIG_KVM_INTEL=m\n")
    with pytest.raises(KernelNameError, match=r"kvm-intel\.ko, nor is it built in"):
        kernel(f"tree:{not_built}")


def deb(folder: Path, name: str, files: dict[str, bytes]) -> Path:
    """Build a package."""
    if shutil.which("dpkg-deb") is None:
        pytest.skip("needs dpkg-deb")
    place = folder / name
    control = f"Package: {name}\nVersion: 9.1.1-1\nArchitecture: all\nMaintainer: x <x@x>\n"
    for path, content in {**files, "DEBIAN/control": f"{control}Description: x\n".encode()}.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(content)
    archive = folder / f"{name}_9.1.1-1_all.deb"
    subprocess.run(["dpkg-deb", "-b", str(place), str(archive)], check=True, capture_output=True)
    return archive


def test_packages_of_ones_own(tmp_path: Path) -> None:
    modules = f"lib/modules/{RELEASE}/kernel"
    image = deb(
        tmp_path, f"linux-image-{RELEASE}",
        {f"boot/vmlinuz-{RELEASE}": b"kernel", f"{modules}/virt/irqbypass.ko": b"b",
         f"{modules}/kvm/kvm-intel.ko.xz": lzma.compress(b"i")},
    )  # fmt: skip
    found = kernel(f"deb:{image}", tmp_path / "cache")
    assert (found.version, found.release) == ("9.1.1-1", RELEASE)
    assert found.modules == {"irqbypass": b"b", "kvm-intel": b"i"}
    assert found.files == (image,)
    image_bytes = found.image.read_bytes()
    assert image_bytes == b"kernel"
    assert kernel(f"deb:{image}", tmp_path / "cache") == found
    place = build_place(found, tmp_path)
    assert place == build_place(found, tmp_path)
    image.write_bytes(b"another")
    assert place != build_place(found, tmp_path)


def test_a_split_kernel_of_ones_own(tmp_path: Path) -> None:
    folder = f"usr/lib/modules/{RELEASE}"
    binary = deb(tmp_path, f"linux-binary-{RELEASE}", {f"{folder}/vmlinuz": b"kernel"})
    modules = deb(tmp_path, f"linux-modules-{RELEASE}", {f"{folder}/kvm-intel.ko": b"i"})
    found = kernel(f"deb:{binary},{modules}", tmp_path / "cache")
    assert (found.release, found.modules) == (RELEASE, {"kvm-intel": b"i"})
    with pytest.raises(PackagesError, match=r"no kvm-intel.ko.*linux-modules belongs to it"):
        kernel(f"deb:{binary}", tmp_path / "cache")
    with pytest.raises(KernelNameError, match="none of the files is a package linux-image"):
        kernel(f"deb:{modules}", tmp_path / "cache")


def test_a_compression_that_is_not_read_is_said(tmp_path: Path) -> None:
    folder = f"usr/lib/modules/{RELEASE}"
    image = deb(
        tmp_path, "linux-image-z", {f"{folder}/vmlinuz": b"", f"{folder}/kvm.ko.zst": b"\x28"}
    )
    with pytest.raises(PackagesError, match=r"kvm.ko.zst: .* losttick does not read"):
        kernel(f"deb:{image}", tmp_path / "cache")
