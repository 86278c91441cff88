"""The script `bootstrap`: what it installs when, and how it says that it could not.

It runs for real, in a clone that holds a small project without dependencies. Only apt and sudo are
stand-ins: they would change this computer.
"""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.support.needs import Need, lacking
from tests.support.places import ROOT
from tests.support.processes import wait_until

#: A build backend that makes a wheel with the command `losttick`.
BACKEND = """
import zipfile

FILES = {
    "orchestrator/__init__.py": open("orchestrator/__init__.py").read(),
    "losttick-1.dist-info/METADATA": "Metadata-Version: 2.1\\nName: losttick\\nVersion: 1\\n",
    "losttick-1.dist-info/WHEEL":
        "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    "losttick-1.dist-info/entry_points.txt":
        "[console_scripts]\\nlosttick = orchestrator:main\\n",
}

def build_wheel(folder, config_settings=None, metadata_directory=None):
    open("builds", "a").write("built\\n")
    name = "losttick-1-py3-none-any.whl"
    with zipfile.ZipFile(f"{folder}/{name}", "w") as wheel:
        for path, content in FILES.items():
            wheel.writestr(path, content)
        record = "".join(f"{path},,\\n" for path in FILES)
        wheel.writestr("losttick-1.dist-info/RECORD", record + "losttick-1.dist-info/RECORD,,\\n")
    return name
"""

PROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "losttick"
version = "1"
"""

MAIN = """
import sys

def main():
    print("{said}", *sys.argv[1:])
    sys.exit(6)
"""


#: The programs of this computer that the script may use.
TOOLS = [
    "sh", "cat", "cut", "dirname", "env", "find", "flock", "id", "mkdir", "rm", "rmdir", "sed",
    "sha256sum", "sleep", "sort", "touch", "tr", "xargs",
]  # fmt: skip


class Clone:
    """A clone, and a PATH on which only the stand-ins and this Python are."""

    def __init__(self, place: Path, tools: Path) -> None:
        self.place = place
        self.tools = tools
        place.mkdir()
        for name in ("orchestrator", "images"):
            (place / name).mkdir()
        shutil.copy(ROOT / "bootstrap", place)
        for name in ("README.md", "LICENSE"):
            (place / name).touch()
        (place / "backend.py").write_text(BACKEND)
        (place / "pyproject.toml").write_text(PROJECT)
        self.say("first")
        tools.mkdir(exist_ok=True)
        for name in TOOLS:
            found = shutil.which(name)
            assert found, name
            self.tool(name, f'exec {found} "$@"')
        self.tool("python3", f'exec {sys.executable} "$@"')
        for name in ("qemu-system-x86_64", "qemu-img"):
            self.tool(name, "exit 1")

    def tool(self, name: str, script: str) -> None:
        (self.tools / name).write_text(f"#!/bin/sh\n{script}\n")
        (self.tools / name).chmod(0o755)

    def say(self, words: str) -> None:
        (self.place / "orchestrator" / "__init__.py").write_text(MAIN.format(said=words))

    @property
    def builds(self) -> int:
        noted = self.place / "builds"
        return len(noted.read_text().split()) if noted.exists() else 0

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
        kept.pop("PYTHONPATH", None)
        return kept | {"PATH": str(self.tools), "PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull}

    def bootstrap(self, *args: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [self.place / "bootstrap", *args], env=self.environment, capture_output=True,
            text=True, timeout=100, check=False,
        )  # fmt: skip


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone(tmp_path / "a clone", tmp_path / "tools")


@pytest.mark.parametrize("option", ["--help", "-h", "help"])
def test_help_is_no_error(clone: Clone, option: str) -> None:
    done = clone.bootstrap(option)
    assert done.returncode == 0
    assert "./bootstrap run" in done.stdout
    assert done.stdout.endswith("Exit code 70: the set-up failed.\n")
    assert done.stderr == ""


@pytest.mark.parametrize("args", [(), ("nonsense",), ("--nonsense",)])
def test_what_is_no_command_is_bad_usage(clone: Clone, args: tuple[str, ...]) -> None:
    done = clone.bootstrap(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert "./bootstrap run" in done.stderr
    if args:
        assert f"there is no command {args[0]}" in done.stderr


def test_without_sudo_one_hint_can_be_pasted(clone: Clone) -> None:
    (clone.tools / "qemu-img").unlink()
    clone.tool("id", "echo 1000")
    clone.tool("apt-get", "exit 1")
    done = clone.bootstrap("run", "--vcpus", "2")
    assert done.returncode == 70
    install = "apt-get install -y --no-install-recommends qemu-utils"
    assert f"su - -c 'apt-get update && {install}' && ./bootstrap run --vcpus 2\n" in done.stderr
    # A sudo that does not let this user in is no better.
    clone.tool("sudo", "echo 'no, alice' >&2; exit 1")
    done = clone.bootstrap("setup")
    assert done.returncode == 70
    assert "no, alice" in done.stderr
    assert f"su - -c 'apt-get update && {install}' && ./bootstrap setup\n" in done.stderr


def test_apt_that_fails_is_no_verdict(clone: Clone) -> None:
    (clone.tools / "qemu-img").unlink()
    clone.tool("id", "echo 0")
    clone.tool("apt-get", "echo 'no network' >&2; exit 1")
    done = clone.bootstrap("run")
    assert done.returncode == 70
    assert "no network" in done.stderr
    assert done.stderr.endswith("Once it can, run again: ./bootstrap run\n")


def test_a_command_that_fails_unforeseen_is_no_verdict(clone: Clone) -> None:
    """The shell would end with the command's own code, and 1 is a verdict."""
    clone.tool("flock", "exit 1")
    assert clone.bootstrap("setup").returncode == 70


def test_no_apt_is_said(clone: Clone) -> None:
    (clone.tools / "qemu-img").unlink()
    done = clone.bootstrap("run")
    assert done.returncode == 70
    assert "there is no apt-get to install them: qemu-utils" in done.stderr


def test_packages_are_installed_once(clone: Clone) -> None:
    """An apt whose lists can't be renewed may still have what is wanted."""
    (clone.tools / "qemu-img").unlink()
    clone.tool("id", "echo 0")
    told = clone.tools / "told"
    made = clone.tools / "qemu-img"
    clone.tool(
        "apt-get",
        f'echo "$*" >>"{told}"; [ "$1" = install ] && touch "{made}" && '
        f'{shutil.which("chmod")} +x "{made}"',
    )
    clone.tool("python3", "echo 3.9; exit 1")  # the end: too old a Python
    done = clone.bootstrap("run")
    assert done.returncode == 70
    assert "losttick needs Python 3.11 or newer" in done.stderr
    assert "install -y --no-install-recommends qemu-utils python3-venv -qq" in told.read_text()


class Server:
    """The servers that a clone sees: none of their programs, and folders instead of /etc."""

    def __init__(self, clone: Clone, place: Path) -> None:
        self.conf = place / "etc" / "createcluster.d" / "losttick.conf"
        script = (clone.place / "bootstrap").read_text()
        self.no_sshd = place / "ssh" / "sshd_not_to_be_run"
        self.no_munged = place / "systemd" / "munge.service.d" / "losttick.conf"
        for real, ours in (("/etc/postgresql-common", place / "etc"),
                           ("/etc/ssh", place / "ssh"), ("/usr/sbin/sshd", place / "sshd"),
                           ("/etc/systemd/system", place / "systemd"),
                           ("/usr/sbin/munged", place / "munged"),
                           ("/usr/lib/postgresql", place / "lib")):  # fmt: skip
            assert real in script
            script = script.replace(real, str(ours))
        (clone.place / "bootstrap").write_text(script)
        clone.tool("tee", f'exec {shutil.which("tee")} "$@"')
        self.seen = place / "seen"
        #: An apt that notes what it sees in that folder as it installs.
        self.apt = (
            f'[ "$1" = install ] || exit 0; echo "$*" >>"{self.seen}"; '
            f'cat "{self.conf}" >>"{self.seen}" || exit 9; [ -e "{self.no_sshd}" ] || exit 8; '
            f'[ -e "{self.no_munged}" ] || exit 7; '
        )


@pytest.fixture
def server(clone: Clone, tmp_path: Path) -> Server:
    return Server(clone, tmp_path)


@pytest.mark.parametrize("user", ["0", "1000"])
@pytest.mark.parametrize("code", [0, 1])
def test_no_database_is_made_and_no_server_started(
    clone: Clone, server: Server, user: str, code: int
) -> None:
    clone.tool("id", f"echo {user}")
    clone.tool("sudo", 'exec "$@"')
    clone.tool("apt-get", server.apt + f"exit {code}")
    clone.tool("python3", "exit 1")  # the end
    assert clone.bootstrap("test").returncode == 70
    installed, conf = server.seen.read_text().splitlines()
    assert " postgresql" in installed
    assert " openssh-server" in installed
    assert server.no_sshd.exists(), "the server would start at the next boot"
    assert " munge" in installed
    check_drop_in(server.no_munged)
    assert conf == "create_main_cluster=false"
    assert not server.conf.parent.exists(), "whoever wants a server later gets one"


def test_what_root_is_to_paste_starts_no_server_either(clone: Clone, server: Server) -> None:
    clone.tool("id", "echo 1000")
    clone.tool("apt-get", server.apt)
    done = clone.bootstrap("test")
    assert done.returncode == 70
    _, _, pasted = done.stderr.partition("su - -c '")
    pasted, _, _ = pasted.partition("' && ./bootstrap test")
    subprocess.run(["sh", "-c", pasted], env=clone.environment, check=True)
    assert server.seen.read_text().splitlines()[1] == "create_main_cluster=false"
    assert not server.conf.exists()
    assert server.no_sshd.exists()
    check_drop_in(server.no_munged)


def check_drop_in(path: Path) -> None:
    """Check that systemd starts no service that has this drop-in."""
    assert path.read_text() == f"[Unit]\nConditionPathExists=!{path}\n"


def test_without_postgresql_nothing_is_said_to_it(clone: Clone, server: Server) -> None:
    (clone.tools / "qemu-img").unlink()
    clone.tool("id", "echo 0")
    clone.tool("apt-get", server.apt)
    assert clone.bootstrap("run").returncode == 70
    assert not server.conf.parent.exists()


def test_debian_heeds_what_holds_a_cluster_back(tmp_path: Path) -> None:
    """The package's own installation reads it in this way."""
    template = Path("/usr/share/postgresql-common/createcluster.conf")
    reader = shutil.which("pg_conftool")
    if not (template.exists() and reader):
        lacking(Need.POSTGRESQL, "postgresql-common is not installed")
    text, places = template.read_text(), tmp_path / "createcluster.d"
    assert "/etc/postgresql-common/createcluster.d" in text
    conf = tmp_path / "createcluster.conf"
    conf.write_text(text.replace("/etc/postgresql-common/createcluster.d", str(places)))
    places.mkdir()
    answers = []
    for _ in range(2):
        done = subprocess.run(
            [reader, conf, "show", "-bs", "create_main_cluster"], capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        answers.append(done.stdout.strip())
        (places / "losttick.conf").write_text("create_main_cluster=false\n")
    assert answers[0] != "off"
    assert answers[1] == "off"


@pytest.mark.thorough
def test_a_set_up_is_made_once_and_mends_itself(clone: Clone, tmp_path: Path) -> None:
    done = clone.bootstrap("run", "--json")
    assert (done.returncode, done.stdout) == (6, "first run --json\n"), done.stderr
    assert clone.builds == 1

    # Nothing changed: nothing is done.
    done = clone.bootstrap("run")
    assert (done.returncode, done.stdout, done.stderr) == (6, "first run\n", "")
    assert clone.builds == 1

    # The sources changed.
    clone.say("second")
    assert clone.bootstrap("run").stdout == "second run\n"
    assert clone.builds == 2

    # The clone was moved: the scripts in .venv name the old place.
    moved = tmp_path / "moved"
    clone.place.rename(moved)
    clone.place = moved
    (moved / ".tox").mkdir()
    assert clone.bootstrap("run").stdout == "second run\n"
    assert clone.builds == 3
    assert not (moved / ".tox").exists()

    # A part of .venv is gone.
    (moved / ".venv" / "bin" / "python").unlink()
    assert clone.bootstrap("run").stdout == "second run\n"
    assert clone.builds == 4

    # pip fails: an exit code that no verdict has, and the next start goes on.
    (moved / "backend.py").write_text("raise SystemExit('no network')")
    clone.say("third")
    done = clone.bootstrap("run")
    assert done.returncode == 70
    assert "run again: ./bootstrap run" in done.stderr
    (moved / "backend.py").write_text(BACKEND)
    assert clone.bootstrap("run").stdout == "third run\n"

    done = clone.bootstrap("setup")
    assert done.returncode == 0
    assert f"The command is {moved}/.venv/bin/losttick" in done.stderr


#: Sphinx for a project without pages: it makes the first page, and says how it was called.
SPHINX = """
import pathlib, sys

(pathlib.Path(sys.argv[-1]) / "index.html").write_text(" ".join(sys.argv[1:]))
sys.exit(pathlib.Path("docs/bad.md").exists())
"""


@pytest.mark.thorough
def test_docs_are_made_anew_and_need_no_qemu(clone: Clone) -> None:
    for name in ("qemu-system-x86_64", "qemu-img"):
        (clone.tools / name).unlink()
    (clone.place / "backend.py").write_text(
        BACKEND.replace("FILES = {", f"FILES = {{'sphinx.py': {SPHINX!r},")
    )
    (stale := clone.place / "docs" / "_build" / "stale.html").parent.mkdir(parents=True)
    stale.touch()
    done = clone.bootstrap("docs")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert f"the site begins at {clone.place}/docs/_build/index.html" in done.stderr
    assert "man ./docs/_build/man/man1/losttick.1" in done.stderr
    assert "-W" in (clone.place / "docs" / "_build" / "index.html").read_text().split()
    assert not stale.exists()

    # A page that Sphinx warns about.
    (clone.place / "docs" / "bad.md").touch()
    done = clone.bootstrap("docs")
    assert (done.returncode, done.stdout) == (70, "")
    assert done.stderr.endswith("Sphinx could not make the docs (see above)\n")
    assert clone.builds == 1, "nothing is installed again"


@pytest.mark.thorough
@pytest.mark.parametrize("when", ["venv", "pip"])
def test_a_killed_set_up_is_made_anew(clone: Clone, when: str) -> None:
    reached = clone.place / "reached"
    waits = f"import time, pathlib; pathlib.Path({str(reached)!r}).touch(); time.sleep(60)"
    if when == "pip":
        (clone.place / "backend.py").write_text(waits)
    else:
        script = textwrap.dedent(f"""\
            case "$*" in
            "-m venv "*) {sys.executable} "$@" --without-pip; touch "{reached}"; sleep 60 ;;
            *) exec {sys.executable} "$@" ;;
            esac""")
        clone.tool("python3", script)
    process = subprocess.Popen(
        [clone.place / "bootstrap", "run"], env=clone.environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert wait_until(reached.exists)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    (clone.place / "backend.py").write_text(BACKEND)
    clone.tool("python3", f'exec {sys.executable} "$@"')
    (of_the_killed := clone.place / ".venv" / "of-the-killed").touch()
    done = clone.bootstrap("run")
    assert (done.returncode, done.stdout) == (6, "first run\n"), done.stderr
    assert not of_the_killed.exists(), "pip may have been killed while it replaced itself"
