"""Finds the Android SDK's programs and the user's virtual devices (AVDs)."""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.android.errors import NoAvdError, NoEmulatorError

#: Folder of each program below the SDK's.
_FOLDERS = {"emulator": "emulator", "adb": "platform-tools"}

#: Where Android Studio puts the SDK on Linux.
_STUDIO = "Android/Sdk"

#: Largest .ini file that is read, in bytes.
_INI_BYTES = 1 << 20

#: The processors whose guests run under KVM on a PC.
KVM_ARCHES = ("x86", "x86_64")


@dataclass(frozen=True, slots=True)
class Avd:
    """A virtual device."""

    name: str
    folder: Path
    arch: str
    """The guest's processor; empty if its configuration does not say."""


@dataclass(frozen=True, slots=True)
class Sdk:
    """The user's SDK and virtual devices, as the environment names them."""

    environment: Mapping[str, str]

    @classmethod
    def of_user(cls) -> "Sdk":
        """Return the SDK of the user who runs losttick."""
        return cls(dict(os.environ))

    @property
    def home(self) -> Path:
        """The user's home."""
        return Path(self.environment.get("HOME", "/"))

    @property
    def folders(self) -> tuple[Path, ...]:
        """The folders that may hold the SDK, the likeliest first."""
        named = [self.environment.get(name) for name in ("ANDROID_HOME", "ANDROID_SDK_ROOT")]
        return tuple(dict.fromkeys([*(Path(each) for each in named if each), self.home / _STUDIO]))

    def find(self, tool: str, named: str | None = None) -> Path:
        """Return the path of a program of the SDK.

        The SDK's own folders go before PATH: an `emulator` there may be another program.

        Args:
            tool: `emulator` or `adb`.
            named: the path or name that the user gave.

        Raises:
            NoEmulatorError: it is not there.
        """
        path = self.environment.get("PATH")
        if named is not None:
            if found := shutil.which(named, path=path):
                return Path(found).absolute()
            raise NoEmulatorError(tool, [named])
        places = [folder / _FOLDERS[tool] / tool for folder in self.folders]
        for place in places:
            if os.access(place, os.X_OK) and place.is_file():
                return place.absolute()
        if found := shutil.which(tool, path=path):
            return Path(found).absolute()
        raise NoEmulatorError(tool, [*(str(place.parent) for place in places), "PATH"])

    @property
    def avd_folder(self) -> Path:
        """The folder with the virtual devices, as the emulator looks for it."""
        given = self.environment.get
        if home := given("ANDROID_AVD_HOME"):
            return Path(home)
        for name in ("ANDROID_USER_HOME", "ANDROID_EMULATOR_HOME"):
            if home := given(name):
                return Path(home) / "avd"
        for name in ("ANDROID_PREFS_ROOT", "ANDROID_SDK_HOME"):
            if home := given(name):
                return Path(home) / ".android" / "avd"
        return self.home / ".android" / "avd"

    def avds(self) -> tuple[Avd, ...]:
        """Return the user's virtual devices, by name."""
        return tuple(_avd(file) for file in sorted(self.avd_folder.glob("*.ini")))

    def avd(self, name: str) -> Avd:
        """Return a virtual device by its name.

        Raises:
            NoAvdError: there is none of this name.
        """
        known = {each.name: each for each in self.avds()}
        if name not in known:
            raise NoAvdError(name, tuple(known))
        return known[name]


def _avd(file: Path) -> Avd:
    folder = Path(read_ini(file).get("path") or file.with_suffix(".avd"))
    config = read_ini(folder / "config.ini")
    return Avd(file.stem, folder, config.get("hw.cpu.arch") or config.get("abi.type", ""))


def read_ini(file: Path) -> dict[str, str]:
    """Return the `name=value` lines of a file of the emulator; none if it can't be read."""
    try:
        with file.open("rb") as opened:
            text = opened.read(_INI_BYTES).decode(errors="replace")
    except OSError:
        return {}
    pairs = (line.partition("=") for line in text.splitlines() if "=" in line)
    return {name.strip(): value.strip() for name, _, value in pairs}
