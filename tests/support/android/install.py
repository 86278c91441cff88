"""Puts the stand-ins into a folder as an SDK, with a virtual device."""

import shlex
import sys
from pathlib import Path

from tests.support.android.emulator import VARIABLE, Behaviour
from tests.support.places import ROOT


def install(place: Path, behaviour: Behaviour, avd: str = "phone") -> dict[str, str]:
    """Make an SDK in a folder; return the variables by which losttick finds it."""
    home, sdk, avds = place / "home", place / "sdk", place / "avds"
    for folder in (home, sdk / "emulator", sdk / "platform-tools", avds / f"{avd}.avd"):
        folder.mkdir(parents=True, exist_ok=True)
    _script(sdk / "emulator" / "emulator", "tests.support.android.emulator")
    _script(sdk / "platform-tools" / "adb", "tests.support.android.adb")
    (avds / f"{avd}.ini").write_text(f"path={avds / f'{avd}.avd'}\n")
    (avds / f"{avd}.avd" / "config.ini").write_text("hw.cpu.arch=x86_64\n")
    if behaviour.token is not None:
        (home / ".emulator_console_auth_token").write_text(behaviour.token)
    return {
        "HOME": str(home), "ANDROID_HOME": str(sdk), "ANDROID_AVD_HOME": str(avds),
        VARIABLE: behaviour.variable(),
    }  # fmt: skip


def _script(path: Path, module: str) -> None:
    python = shlex.quote(sys.executable)
    path.write_text(
        f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} exec {python} -P -m {module} "$@"\n'
    )
    path.chmod(0o755)
