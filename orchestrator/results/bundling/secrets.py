"""The names of persons and computers, and the words that replace them in an anonymous bundle."""

import contextlib
import getpass
import html
import json
import os
import pwd
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from orchestrator.host.boot import BOOT_ID, MACHINE_ID
from orchestrator.results.bundling.addresses import MAC, has_address, without_addresses
from orchestrator.results.bundling.host_names import domains, host_names

#: Words that stand for what is hidden.
USER, HOME, HOST, PLACE, HIDDEN = "user", "/home/user", "host", "/place", "hidden"
DOMAIN = "example.com"

#: Users below this number are the system's own, such as root: their names tell nothing.
_FIRST_PERSON = 1000

#: A name that is shorter is hidden only where it stands alone, and not within other words.
_SHORT = 5

#: Names of hosts that tell nothing.
_COMMON_HOSTS = {"localhost", "localhost.localdomain", "debian", "ubuntu", HOST}

#: Its folders have the MAC address of each network device.
NETWORK_DEVICES = "/sys/class/net"

_HOME = re.compile(r"/(?:home|Users)/([^/\s\"'\\:;,|)<>\]]+)")

#: UUIDs, and numbers of their size that are not contents of vector registers of a CPU.
_ID = re.compile(
    r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
    r"|(?<![0-9a-f])(?<![XYZ]MM[0-9]{2}=)[0-9a-f]{32}(?![0-9a-f])",
    re.IGNORECASE,
)

#: A kernel's or a QEMU's version of four numbers, in a line of a journal.
_VERSION = re.compile(r'"(?:kernel|version)":\s*"(\d+(?:\.\d+){3})(?![\d.])')


@dataclass(slots=True)
class Secrets:
    """Texts to hide, each with the word that stands for it."""

    words: dict[str, str] = field(default_factory=dict)
    versions: set[str] = field(default_factory=set)
    """Versions that look like IPv4 addresses."""
    _ids: dict[str, str] = field(default_factory=dict)
    _pattern: re.Pattern[str] | None = None

    def hide(self, text: str, word: str) -> None:
        """Hide a text in all its spellings. An empty one, or the word itself, is left alone."""
        if text.strip() and text != word and text not in self.words:
            self.words[text] = word
            self._pattern = None

    def hide_id(self, text: str) -> None:
        """Hide an id wherever its digits stand, with or without the dashes of a UUID."""
        for spelled in (text, text.replace("-", "")):
            self.hide(spelled, self._other_id(spelled))

    def learn_homes(self, text: str) -> None:
        """Hide the users whose homes a text names."""
        for name in _HOME.findall(text):
            if name != USER:
                self.hide(name, USER)

    def learn_domains(self, text: str) -> None:
        """Hide the domains that a text gives to this computer, in addresses of mail and URLs."""
        hosts = [re.escape(name) for name, word in self.words.items() if word == HOST]
        if not hosts:
            return
        named = re.compile(
            rf"(?:@|//)(?:{'|'.join(hosts)})((?:\.[a-z0-9-]+)+\.[a-z]{{2,}})", re.IGNORECASE
        )
        for name in domains(named.findall(text), None):
            self.hide(name, DOMAIN)

    def learn_versions(self, text: str) -> None:
        """Leave the versions of kernels and QEMUs alone that a line of a journal names."""
        self.versions.update(_VERSION.findall(text))

    def scrubbed(self, text: str) -> str:
        """Return a text with a word for everything that is hidden."""
        if self.words:
            text = self._known().sub(lambda found: self._word(found[0]), text)
        return self.without_ids(text)

    def without_ids(self, text: str) -> str:
        """Return a text with stand-ins for ids and addresses, whosever they are."""
        text = _ID.sub(lambda found: self._other_id(found[0]), text)
        return without_addresses(text, self.versions)

    def touches(self, text: str) -> bool:
        """Return whether a text has something to hide, or may have it in an escaped form."""
        known = self._known().search(text) or _ID.search(text)
        return "\\" in text or bool(known) or has_address(text)

    def _known(self) -> re.Pattern[str]:
        if self._pattern is None:
            # The longest first: the path of a folder, before the name of a user within the path.
            spelled = {each for text in self.words for each in _spellings(text)}
            ordered = sorted(spelled, key=lambda each: (-len(each), each))
            self._pattern = re.compile("|".join(map(_bounded, ordered)) or r"(?!)", re.IGNORECASE)
        return self._pattern

    def _word(self, found: str) -> str:
        for text, word in self.words.items():
            if any(each.lower() == found.lower() for each in _spellings(text)):
                return word
        return HIDDEN

    def _other_id(self, found: str) -> str:
        """Return the stand-in of an id: another one for each id, so that they still differ."""
        known = found.lower().replace("-", "")
        number = self._ids.setdefault(known, f"{len(self._ids) + 1:032x}")
        if known in self._ids.values() and is_stand_in(known):
            number = known  # it is a stand-in already
        parts = (number[:8], number[8:12], number[12:16], number[16:20], number[20:])
        return "-".join(parts) if "-" in found else number


def is_stand_in(id_: str) -> bool:
    """Return whether an id stands for another one in an anonymous bundle."""
    return id_.startswith("0" * 20)


def secrets_here(folder: Path, more: Iterable[str] = ()) -> Secrets:
    """Return what names this computer, its users, and the places from which losttick ran.

    Args:
        folder: the output folder.
        more: further texts to hide.
    """
    found = Secrets()
    for text in more:
        found.hide(text, HIDDEN)
    for path in (str(folder.absolute()), str(folder.resolve()), str(folder.resolve().parent)):
        found.hide(path, PLACE)
    found.hide(os.environ.get("PWD", ""), PLACE)
    with contextlib.suppress(OSError):  # it was removed, or is below a folder that is closed
        found.hide(str(Path.cwd()), PLACE)
    for name, full_name, home in _people(folder):
        found.hide(home, HOME)
        found.hide(name, USER)
        found.hide(full_name, USER)
    names = host_names()
    for name in names:
        if name.lower() not in _COMMON_HOSTS:
            found.hide(name, HOST)
    for name in domains(names):
        found.hide(name, DOMAIN)
    for file in (MACHINE_ID, "/var/lib/dbus/machine-id", BOOT_ID):
        with contextlib.suppress(OSError):
            found.hide_id(Path(file).read_text(errors="replace").strip())
    for device in Path(NETWORK_DEVICES).glob("*/address"):  # here its bare digits are hidden, too
        with contextlib.suppress(OSError):
            digits = device.read_text(errors="replace").strip().replace(":", "")
            if digits.strip("0"):
                found.hide(digits, MAC.replace(":", ""))
    found.words.pop("/", None)
    return found


def _people(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Yield name, full name and home of each user who may have run losttick."""
    with contextlib.suppress(RuntimeError):
        yield "", "", str(Path.home())
    numbers = {os.getuid(), os.geteuid()}
    with contextlib.suppress(OSError):
        numbers.add(folder.stat().st_uid)
    names = {os.environ.get(each, "") for each in ("SUDO_USER", "USER", "LOGNAME")}
    with contextlib.suppress(OSError, KeyError):
        names.add(getpass.getuser())
    for entry in pwd.getpwall():
        if entry.pw_uid in numbers or entry.pw_name in names:
            names.discard(entry.pw_name)
            person = entry.pw_uid >= _FIRST_PERSON
            full_name = entry.pw_gecos.partition(",")[0]
            yield (entry.pw_name, full_name, entry.pw_dir) if person else ("", "", entry.pw_dir)
    for name in names:  # of no account: set by hand, or by a directory that does not list users
        yield name, "", ""


def _spellings(text: str) -> set[str]:
    """Return a text as it is, and as JSON, HTML and URLs spell it."""
    return {text, json.dumps(text)[1:-1], html.escape(text), html.escape(text, quote=False),
            html.escape(text).replace("&#x27;", "&#39;"),
            quote(text, errors="surrogateescape")}  # fmt: skip


def _bounded(text: str) -> str:
    """Return the pattern of a text; a short name must stand alone."""
    exact = re.escape(text)
    return rf"(?<![0-9A-Za-z]){exact}(?![0-9A-Za-z])" if len(text) < _SHORT else exact
