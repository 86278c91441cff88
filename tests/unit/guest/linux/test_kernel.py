import os
from pathlib import Path

import pytest

from orchestrator.guest.linux import kernel
from orchestrator.guest.linux.guest import LinuxGuest
from orchestrator.guest.linux.kernel import GuestKernelError, guest_kernel
from orchestrator.packages.suites import NoSuiteError


def bzimage(release: str) -> bytes:
    """Return the beginning of a bzImage that says its release."""
    head = bytearray(0x1000)
    head[0x202:0x206] = b"HdrS"
    head[0x20E:0x210] = (0x300).to_bytes(2, "little")
    head[0x500 : 0x500 + len(release) + 4] = release.encode() + b" #1\0"
    return bytes(head)


@pytest.fixture(autouse=True)
def _forget() -> None:
    guest_kernel.cache_clear()


def test_a_file(tmp_path: Path) -> None:
    path = tmp_path / "vmlinuz"
    path.write_bytes(bzimage("6.1.0-test"))
    found = guest_kernel(str(path))
    assert (found.release, found.image) == ("6.1.0-test", path.read_bytes())
    guest = LinuxGuest().booting(str(path))
    assert guest.files["vmlinuz"] == path.read_bytes()
    assert guest.sha256 != found.sha256  # the first process is part of it


def test_a_file_is_read_once(tmp_path: Path) -> None:
    """Else a new kernel at that path would get into the middle of a run."""
    path = tmp_path / "vmlinuz"
    path.write_bytes(bzimage("one"))
    guest_kernel(str(path))
    path.write_bytes(bzimage("other"))
    assert guest_kernel(str(path)).release == "one"


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("/nowhere/vmlinuz", "No such file"),
        ("/dev/null", "is no bzImage"),
        ("/", "Is a directory"),
        ("debian:Nonsense!", "neither a suite nor a version"),
        ("fedora:41", "no source of kernels"),
        ("~nobody-of-that-name/vmlinuz", "no user has such a home folder"),
    ],
)
def test_a_name_that_names_no_kernel(name: str, seen: str) -> None:
    with pytest.raises(GuestKernelError, match=seen) as caught:
        guest_kernel(name)
    assert "debian:bookworm" in str(caught.value)


def test_the_kernel_of_this_computer_may_be_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> str:
        assert path == tmp_path / "vmlinuz"
        raise PermissionError

    (tmp_path / "vmlinuz").write_bytes(bzimage("6.1.0-here"))
    monkeypatch.setattr(kernel, "PLACES", (f"{tmp_path}/vmlinuz",))
    monkeypatch.setattr(kernel, "image_release", refuse)
    with pytest.raises(GuestKernelError, match="chmod a\\+r"):
        guest_kernel("host")


def test_the_kernel_of_this_computer_is_where_a_distribution_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = os.uname().release
    places = tuple(f"{tmp_path}{place}" for place in kernel.PLACES)
    monkeypatch.setattr(kernel, "PLACES", places)
    with pytest.raises(GuestKernelError, match=rf"/boot/vmlinuz-{release} nor .* came from else"):
        guest_kernel("host")
    for place in reversed(places):
        path = Path(place.format(release=release))
        path.parent.mkdir(parents=True)
        path.write_bytes(bzimage(f"of {path.parent.name}"))
        guest_kernel.cache_clear()
        assert guest_kernel("host").image == path.read_bytes()


def test_a_suite_that_the_mirror_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(what: str, cache: Path) -> str:
        raise NoSuiteError(f"the mirror has no suite {what}")

    monkeypatch.setattr(kernel, "kernel_version", version)
    with pytest.raises(GuestKernelError, match=r"no suite nonsense\. Suites with kernels are: sid"):
        guest_kernel("debian:nonsense")
