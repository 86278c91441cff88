import lzma
import shutil
import subprocess
from pathlib import Path

import pytest

from orchestrator.lab.kernel.kernel import KernelNameError, build_place
from orchestrator.lab.kernel.names import kernel
from orchestrator.packages.apt import PackagesError
from tests.support.debian_kernels import RELEASE
from tests.support.needs import Need, lacking


def deb(folder: Path, name: str, files: dict[str, bytes]) -> Path:
    """Build a package."""
    if shutil.which("dpkg-deb") is None:
        lacking(Need.PACKAGES, "there is no dpkg-deb")
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
    assert found.source.build_input(found, tmp_path, tmp_path).archives == (image,)
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
