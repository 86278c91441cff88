"""Hosts of a fleet: real SSH servers on this computer, each with a home and a key of its own."""

import contextlib
import inspect
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pytest

from orchestrator.fleet.fleet_file import FleetFile
from orchestrator.fleet.folder import FleetFolder
from tests.support.needs import Need, lacking
from tests.support.places import ROOT
from tests.support.processes import MARKER

SSHD = "/usr/sbin/sshd"

#: Names a host in the environment of all that runs there.
MARK = "LOSTTICK_TEST_HOST"

#: A losttick that does not wait for a quieter host: the tests beside it make this one busy. It is
#: the sole run of its own host, and not of this computer.
IMPATIENT = f"""
import os
from orchestrator.campaign import pauses
from orchestrator.host import sole_run
pauses.BUSY_PERCENT = 101
sole_run.sole_run.__wrapped__.__defaults__ = (os.environ["{MARK}"][-90:],)
from orchestrator.cli import main
main()
"""
LOSTTICK = f"exec {sys.executable} -P -c '{IMPATIENT}' \"$@\""

_GETSOURCE = inspect.getsource

#: Variables that tests give to all that they start.
INHERITED = (MARKER, "XDG_RUNTIME_DIR")


@dataclass
class SshHost:
    """An SSH server on the loopback interface, and what it takes for its computer."""

    name: str
    path: Path
    port: int
    env: dict[str, str] = field(default_factory=dict)
    """More of the environment of logins."""
    user: str = ""
    """The user who logs in; this user if left out."""
    _server: "subprocess.Popen[bytes] | None" = None

    @property
    def home(self) -> Path:
        return self.path / "home"

    @property
    def bin(self) -> Path:
        """Programs that come before those of this computer."""
        return self.path / "bin"

    @property
    def known(self) -> str:
        """The line of a file of known hosts."""
        kind, key, *_ = (self.path / "key.pub").read_text().split()
        return f"[127.0.0.1]:{self.port} {kind} {key}\n"

    def make(self, authorized: Path) -> None:
        for folder in (self.path, self.home, self.bin):
            folder.mkdir()
        self.new_key()
        shutil.copy(authorized, self.path / "authorized_keys")
        self.program("losttick", LOSTTICK)

    def new_key(self) -> None:
        """Give it a host key, as a new installation does."""
        (self.path / "key").unlink(missing_ok=True)
        keygen("-f", str(self.path / "key"))

    def program(self, name: str, script: str) -> None:
        """Put a shell script on the host's PATH."""
        path = self.bin / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def start(self) -> None:
        env = {
            "HOME": str(self.home), "PATH": f"{self.bin}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT), MARK: str(self.path), **self.env,
            **{name: os.environ[name] for name in INHERITED if name in os.environ},
        }  # fmt: skip
        variables = " ".join(f'{name}="{value}"' for name, value in env.items())
        config = self.path / "sshd_config"
        config.write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.path}/key\n"
            f"AuthorizedKeysFile {self.path}/authorized_keys\nStrictModes no\n"
            # Without PAM an account that has no password can't log in.
            f"UsePAM {'yes' if self.user else 'no'}\n"
            "PasswordAuthentication no\nKbdInteractiveAuthentication no\nPidFile none\n"
            "PermitRootLogin prohibit-password\nSubsystem sftp internal-sftp\n"
            f"SetEnv {variables}\n"
        )
        with (self.path / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", str(config)], stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, env={**os.environ, MARK: str(self.path)},
            )  # fmt: skip
        until = time.monotonic() + 30
        while time.monotonic() < until and self._server.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)):
                return
            time.sleep(0.05)
        pytest.fail(f"sshd did not start: {(self.path / 'log').read_text()}")

    def which(self, name: str) -> str:
        """Return the program that a login on the host starts by a name."""
        words = ["-F", "none", "-p", str(self.port), "-o", "BatchMode=yes"]
        words += ["-l", self.user] if self.user else []
        words += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]
        look = f"python3 -c 'import shutil; print(shutil.which(\"{name}\"))'"
        done = subprocess.run(
            ["ssh", *words, "127.0.0.1", look], capture_output=True, text=True, check=False
        )
        return done.stdout.strip() or done.stderr

    def stop(self) -> None:
        """End the server and its connections. What was started through it goes on."""
        for pid in self._server_pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if self._server:
            self._server.kill()
            self._server.wait()
            self._server = None

    def drop(self) -> None:
        """End the connections, and not the server."""
        for pid in self._server_pids():
            if self._server and pid != self._server.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _server_pids(self) -> list[int]:
        """Return the server and its connections, which write their titles over the mark."""
        found = [self._server.pid] if self._server else []
        for pid in found:
            found += [child for child in _children(pid) if _comm(child).startswith("sshd")]
        return found

    def crash(self) -> None:
        """Kill all that runs on the host, as a power failure does."""
        self.stop()
        while pids := self.pids():
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.05)

    def pids(self) -> list[int]:
        """Return the processes of the host."""
        mark = f"{MARK}={self.path}".encode()
        found = []
        for each in Path("/proc").glob("[0-9]*/environ"):
            with contextlib.suppress(OSError):
                if mark in each.read_bytes().split(b"\0"):
                    found.append(int(each.parent.name))
        return found

    def runs(self) -> list[int]:
        """Return the processes of losttick runs on the host, without their shells."""
        return [pid for pid in self.pids() if b"--resume-or-start" in _cmdline(pid)]


def _comm(pid: int) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/comm").read_text()
    return ""


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []


def _cmdline(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def keygen(*words: str) -> None:
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", *words], check=True, capture_output=True
    )


@dataclass
class SshFleet:
    """Hosts, and the fleet of them."""

    path: Path
    hosts: list[SshHost]

    @property
    def known_hosts(self) -> Path:
        return self.path / "known_hosts"

    def know(self) -> None:
        """Write the keys of the hosts to the file of known hosts."""
        self.known_hosts.write_text("".join(host.known for host in self.hosts))

    def file(self, **settings: object) -> FleetFile:
        """Return a fleet file of the hosts; settings of [ssh] are in `ssh`."""
        ssh = {"known_hosts": str(self.known_hosts), **settings.pop("ssh", {})}  # type: ignore[dict-item]
        hosts = [
            {"name": host.name, "address": "127.0.0.1", "port": host.port} for host in self.hosts
        ]
        return FleetFile.model_validate({"engine": "ssh", "hosts": hosts, "ssh": ssh, **settings})

    def folder(self, plan: str, name: str = "out") -> FleetFolder:
        """Return the folder of a fleet that runs a plan."""
        folder = FleetFolder(self.path / name)
        folder.path.mkdir(exist_ok=True)
        folder.plan.write_text(plan)
        return folder


@pytest.fixture
def ssh_fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., SshFleet]]:
    """Makes so many hosts, and an agent with the key for them."""
    if not Path(SSHD).exists() or not shutil.which("ssh-agent"):
        lacking(Need.SSHD, "openssh-server and openssh-client are not installed")
    made: list[SshHost] = []
    home = tmp_path / "my-home"
    home.mkdir()
    keygen("-f", str(home / "key"))
    with _privilege_separation(), _agent(home) as agent:
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
        monkeypatch.setattr("orchestrator.fleet.ssh.connection.inspect.getsource", _source)
        subprocess.run(["ssh-add", "-q", str(home / "key")], check=True, capture_output=True)

        def make(
            *names: str, env: dict[str, str] | None = None, place: Path = tmp_path, user: str = ""
        ) -> SshFleet:
            for name in names:
                host = SshHost(name, place / name, free_port(), dict(env or {}), user)
                made.append(host)
                host.make(home / "key.pub")
                if user:
                    shutil.chown(host.home, user)
                host.start()
            fleet = SshFleet(tmp_path, list(made))
            fleet.know()
            return fleet

        try:
            yield make
        finally:
            for host in made:
                host.crash()


def _source(module: object) -> str:
    """Return the source of what runs on a host, which asks for that host's sole run."""
    if not isinstance(module, ModuleType):
        return _GETSOURCE(module)  # type: ignore[arg-type]  # pytest's own question
    text = Path(str(module.__file__)).read_text()
    return text.replace('"losttick/sole-run"', f'os.environ["{MARK}"][-90:]')


@contextlib.contextmanager
def _privilege_separation() -> Iterator[None]:
    """Have the folder that sshd wants if root starts it; systemd makes it for the service."""
    if os.geteuid() != 0:
        yield
        return
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    yield


@contextlib.contextmanager
def _agent(home: Path) -> Iterator[Path]:
    path = home / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 20
        while not path.exists() and time.monotonic() < until:
            time.sleep(0.02)
        yield path
    finally:
        agent.terminate()
        agent.wait()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
