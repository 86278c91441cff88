"""What `losttick android` needs, and what would get it."""

from pathlib import Path

import pytest

from orchestrator.android.running import Running
from orchestrator.android.sdk import Avd, Sdk
from orchestrator.doctor.android import avd_finding, examine_android, timer_finding


def sdk(home: Path) -> Sdk:
    return Sdk({"HOME": str(home), "PATH": str(home / "bin")})


def add(home: Path, folder: str, tool: str, revision: str) -> None:
    place = home / "Android" / "Sdk" / folder
    place.mkdir(parents=True)
    (place / tool).write_text("#!/bin/sh\n")
    (place / tool).chmod(0o755)
    (place / "source.properties").write_text(f"Pkg.Revision={revision}\n")


async def test_without_an_sdk_each_lack_has_a_command(tmp_path: Path) -> None:
    found = await examine_android(sdk(tmp_path))
    assert not found.usable
    lacks = {each.subject: str(each.mend) for each in found.findings if not each.good}
    assert "sdkmanager emulator platform-tools" in lacks["emulator"]
    assert "apt-get install" in lacks["adb"]
    assert "avdmanager create avd --name phone" in lacks["AVDs"]
    assert [str(mend) for mend in found.safe_mends if "adb" in str(mend)]


async def test_with_an_sdk_only_kvm_can_be_lacking(tmp_path: Path) -> None:
    add(tmp_path, "emulator", "emulator", "34.1.20")
    add(tmp_path, "platform-tools", "adb", "35.0.1")
    avds = tmp_path / ".android" / "avd"
    avds.mkdir(parents=True)
    (avds / "phone.ini").write_text("")
    found = await examine_android(sdk(tmp_path))
    by = {each.subject: each for each in found.findings}
    assert by["emulator"].seen.startswith("34.1.20, ")
    assert by["adb"].good
    assert by["AVDs"].seen == "phone (unknown processor)"
    assert found.usable is by["/dev/kvm"].good
    assert by["exposure"].mend is None, "nobody is told to switch APICv on"


@pytest.mark.parametrize(
    ("arches", "good"),
    [(("x86_64",), True), (("arm64", "x86"), True), (("arm64",), False), ((), False)],
)
def test_only_an_x86_guest_runs_under_kvm(
    tmp_path: Path, arches: tuple[str, ...], good: bool
) -> None:
    avds = [Avd(arch, tmp_path, arch) for arch in arches]
    found = avd_finding(sdk(tmp_path), avds)
    assert found.good is good
    assert (found.mend is None) is good


async def test_the_timer_is_unknown_without_a_monitor(tmp_path: Path) -> None:
    for emulators in ((), (Running("phone", 1, 5554, None),),
                      (Running("phone", 1, 5554, str(tmp_path / "nowhere")),)):  # fmt: skip
        found = await timer_finding(emulators)
        assert found.good
        assert "reads it from the running guest" in found.seen
