"""Where the SDK, the virtual devices and the running emulators are looked for."""

import os
from pathlib import Path

import pytest

from orchestrator.android.errors import NoAvdError, NoEmulatorError, NotRunningError
from orchestrator.android.running import qmp_socket, running, the_running
from orchestrator.android.sdk import Sdk


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def sdk(home: Path, **variables: object) -> Sdk:
    named = {name: str(value) for name, value in variables.items()}
    return Sdk({"HOME": str(home), "PATH": str(home / "bin"), **named})


def test_the_sdk_goes_before_path_and_the_user_before_all(tmp_path: Path) -> None:
    on_path = program(tmp_path / "bin" / "emulator")
    assert sdk(tmp_path).find("emulator") == on_path
    studio = program(tmp_path / "Android" / "Sdk" / "emulator" / "emulator")
    assert sdk(tmp_path).find("emulator") == studio
    other = program(tmp_path / "other" / "emulator" / "emulator")
    assert sdk(tmp_path, ANDROID_HOME=tmp_path / "other").find("emulator") == other
    named = program(tmp_path / "mine")
    assert sdk(tmp_path).find("emulator", str(named)) == named
    assert sdk(tmp_path).find("adb", "emulator") == on_path


def test_a_missing_program_names_every_place(tmp_path: Path) -> None:
    with pytest.raises(NoEmulatorError, match=r"Android/Sdk/platform-tools, PATH.*--adb"):
        sdk(tmp_path).find("adb")
    with pytest.raises(NoEmulatorError, match="nowhere"):
        sdk(tmp_path).find("adb", str(tmp_path / "nowhere"))


def test_a_virtual_device_and_its_processor(tmp_path: Path) -> None:
    avds = tmp_path / "avds"
    for name, words in (("a", "hw.cpu.arch = arm64\n"), ("b", "abi.type=x86_64\n"), ("c", "")):
        folder = avds / f"{name}.avd"
        folder.mkdir(parents=True)
        (avds / f"{name}.ini").write_text(f"avd.ini.encoding=UTF-8\npath={folder}\n")
        (folder / "config.ini").write_text(words)
    (avds / "d.ini").write_bytes(b"\xff\xfe=\x00")
    found = sdk(tmp_path, ANDROID_AVD_HOME=avds)
    assert [(each.name, each.arch) for each in found.avds()] == [
        ("a", "arm64"), ("b", "x86_64"), ("c", ""), ("d", ""),
    ]  # fmt: skip
    assert found.avd("b").folder == avds / "b.avd"
    with pytest.raises(NoAvdError, match=r"'e': there are a, b, c, d"):
        found.avd("e")
    with pytest.raises(NoAvdError, match="no virtual device at all"):
        sdk(tmp_path).avd("a")


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({}, "home/.android/avd"),
        ({"ANDROID_USER_HOME": "/u"}, "/u/avd"),
        ({"ANDROID_EMULATOR_HOME": "/e"}, "/e/avd"),
        ({"ANDROID_PREFS_ROOT": "/p"}, "/p/.android/avd"),
        ({"ANDROID_SDK_HOME": "/s"}, "/s/.android/avd"),
        ({"ANDROID_AVD_HOME": "/a", "ANDROID_USER_HOME": "/u"}, "/a"),
    ],
)
def test_where_the_virtual_devices_are(
    tmp_path: Path, variables: dict[str, str], folder: str
) -> None:
    assert sdk(tmp_path / "home", **variables).avd_folder == tmp_path / folder


def announce(folder: Path, pid: int, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"pid_{pid}.ini").write_text(text)


def test_an_emulator_that_runs(tmp_path: Path) -> None:
    run = tmp_path / "run"
    user = sdk(tmp_path, XDG_RUNTIME_DIR=run)
    with pytest.raises(NotRunningError, match=r"no file pid_\*\.ini in .*/run/avd/running"):
        the_running(user)
    folder = run / "avd" / "running"
    announce(folder, os.getpid(), "port.serial=5554\navd.name=phone\ngrpc.token=x\n")
    announce(folder, 2**31, "port.serial=5556\navd.name=gone\n")
    announce(tmp_path / ".android" / "avd" / "running", os.getppid(), "port.serial=99999\n")
    (found,) = running(user)
    assert (found.avd, found.port, found.qmp) == ("phone", 5554, None)
    assert found.serial == "emulator-5554"
    assert the_running(user) == the_running(user, "phone") == found
    with pytest.raises(NotRunningError, match="of tablet"):
        the_running(user, "tablet")
    announce(folder, os.getppid(), "port.serial=5558\navd.name=tablet\n")
    with pytest.raises(NotRunningError, match=r"2 run: phone, tablet\. Name one"):
        the_running(user)
    assert the_running(user, "tablet").port == 5558


@pytest.mark.parametrize(
    ("argv", "path"),
    [
        (["emulator", "-qemu", "-qmp", "unix:/tmp/q,server,nowait"], "/tmp/q"),
        (["emulator", "-qemu", "-qmp", "unix:/tmp/a,,b,server=on"], "/tmp/a,b"),
        (["emulator", "-qemu", "-qmp", "unix:q,server,nowait"], "/proc/7/cwd/q"),
        (["emulator", "-qemu", "-qmp", "tcp:localhost:1"], None),
        (["emulator", "-qmp"], None),
        ([], None),
    ],
)
def test_the_monitor_s_socket(argv: list[str], path: str | None) -> None:
    assert qmp_socket(argv, 7) == path
