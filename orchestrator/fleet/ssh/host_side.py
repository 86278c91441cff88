"""The part that runs on a host: a program of the standard library alone.

This source goes to the host's Python on standard input, with one word: a JSON object with `verb`
and the verb's arguments. It answers with lines that begin with `MARK`, so that a greeting of the
login shell is not taken for an answer. losttick need not be installed there.

A job is a folder: `plan.toml`, `run/` with the journal, `output.txt`, `job.json` once it began,
`exit.json` once it ended. A watcher and losttick hold a lock on `running` for as long as either
lives; nobody else ever locks that file for longer than a look.
"""

import contextlib
import fcntl
import getpass
import hashlib
import json
import os
import platform
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MARK = "losttick-fleet: "
TAIL = 8192  # bytes of a job's output that are told
SOLE_RUN = "losttick/sole-run"  # what `losttick run --exclusive` holds (`host.sole_run`)
MOST_FILES = 300_000
TRIAL = b'{"record":"trial"'
#: Folders of an administrator's programs, though not on the PATH of every login.
SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def answer(**words: Any) -> None:
    """Print an answer."""
    print(MARK + json.dumps(words), flush=True)


def read_json(path: Path) -> Any:
    """Return what a file says; None if it is not there, or damaged."""
    try:
        return json.loads(path.read_bytes()[:65536])
    except (OSError, ValueError):
        return None


def boot_id() -> str:
    """Return the name of this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def scope() -> list[str]:
    """Return the words by which a program outlives our login as a unit of systemd's.

    A user manager ends with the last login, and takes its scopes along, unless the user lingers.
    """
    words = ["systemd-run", "--scope", "--quiet", "--collect"]
    if not Path("/run/systemd/system").is_dir():
        return []
    if os.geteuid() != 0:
        if not Path("/var/lib/systemd/linger", getpass.getuser()).exists():
            return []
        words.insert(1, "--user")
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        subprocess.run([*words, "true"], check=True, capture_output=True, timeout=20)
        return words
    return []


def kills_at_logout() -> bool:
    """Return whether logind ends whatever a user leaves behind at the logout."""
    if os.geteuid() == 0 or Path("/var/lib/systemd/linger", getpass.getuser()).exists():
        return False
    asked = ["busctl", "get-property", "org.freedesktop.login1", "/org/freedesktop/login1"]
    asked += ["org.freedesktop.login1.Manager", "KillUserProcesses"]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(asked, check=False, capture_output=True, timeout=10)
        return done.stdout.strip() == b"b true"
    return False


def facts(folder: str) -> None:
    """Tell what this host is, and where our folder on it is."""
    answer(
        release=os.uname().release, boot_id=boot_id(), time=time.time(), uid=os.geteuid(),
        folder=str(Path.home() / folder), python=platform.python_version(),
        kills_at_logout=kills_at_logout(),
    )  # fmt: skip


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            sha.update(block)
    return sha.hexdigest()


def install(folder: str, wheels: list[list[str]], part: str) -> None:
    """Make a virtual environment of wheels, or tell which of them are lacking.

    `wheels` are names and digests; a file that has just been brought ends in `part`.
    """
    base = Path(folder)
    key = [*sorted(wheels), sys.version, str(Path(sys.executable).resolve()), platform.machine()]
    venv = base / "venv" / hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]
    done = venv / "losttick-is-whole"
    command = [str(venv / "bin" / "losttick")]
    if done.exists():
        answer(command=command)
        return
    missing = []
    for name, sha in wheels:
        place = base / "wheels" / sha / name
        place.parent.mkdir(parents=True, exist_ok=True)
        brought = place.with_name(name + part)
        if brought.exists():
            if digest(brought) == sha:
                brought.replace(place)
            else:
                brought.unlink()
        if not place.exists() or digest(place) != sha:
            missing.append(sha)
    if missing:
        answer(missing=missing)
        return
    venv.parent.mkdir(parents=True, exist_ok=True)
    with venv.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():  # nobody else has made it meanwhile
            os.nice(19)  # beside a run of somebody else
            shutil.rmtree(venv, ignore_errors=True)
            tool([sys.executable, "-m", "venv", str(venv)])
            links = [f"--find-links={base / 'wheels' / sha}" for _, sha in wheels]
            pip = [str(venv / "bin" / "python"), "-m", "pip", "install", "--no-index"]
            tool([*pip, "--disable-pip-version-check", "--no-cache-dir", *links, "losttick"])
            done.write_text("")
    answer(command=command)


def tool(command: list[str]) -> None:
    """Run a program.

    Raises:
        OSError: it failed; with its last words.
    """
    done = subprocess.run(
        command, check=False, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace",
    )  # fmt: skip
    if done.returncode != 0:
        lines = [line for line in done.stdout.strip().splitlines() if line.strip()]
        told = [line for line in lines if "rror" in line] or lines or [f"code {done.returncode}"]
        raise OSError(0, f"{' '.join(command[1:4])}: {told[-1][:1000]}")


def is_running(job: Path) -> bool:
    """Return whether a job's watcher or its losttick lives."""
    try:
        with (job / "running").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


def tell_state(job: Path) -> None:
    """Tell where a job stands."""
    running = is_running(job)
    tail = b""
    with contextlib.suppress(OSError), (job / "output.txt").open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
        tail = file.read(TAIL)
    answer(
        running=running, begun=read_json(job / "job.json"),
        ended=None if running else read_json(job / "exit.json"),
        cancelled=(job / "cancelled").exists(), tail=tail.decode("utf-8", "replace"),
        boot_id=boot_id(), release=os.uname().release, time=time.time(),
    )  # fmt: skip


def make(job: str) -> None:
    """Make a job's folder."""
    Path(job).mkdir(parents=True, exist_ok=True, mode=0o700)
    answer(made=True)


def start(job: str, command: list[str], source: str) -> None:
    """Start a job that does not run, so that it outlives this login; `source` is the watcher's."""
    place = Path(job)
    with (place / "start.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_running(place):
            for old in ("job.json", "exit.json", "cancelled"):
                (place / old).unlink(missing_ok=True)
            watcher = place / "watch.py"
            watcher.write_text(source)
            with (place / "output.txt").open("ab") as output:
                subprocess.Popen(
                    [*scope(), sys.executable, "-I", str(watcher), *command], cwd=job,
                    stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                    start_new_session=True,
                )  # fmt: skip
            until = time.monotonic() + 30
            while not ((place / "job.json").exists() or (place / "exit.json").exists()):
                if time.monotonic() > until:
                    raise OSError(0, "starting the run: its watcher did not start in 30 s")
                time.sleep(0.02)
    tell_state(place)


def state(job: str) -> None:
    """Tell where a job stands."""
    tell_state(Path(job))


def follow(job: str, every_s: float) -> None:
    """Tell how far a job is from time to time, and at once when it has ended."""
    place, over = Path(job), threading.Event()

    def wait() -> None:
        with contextlib.suppress(OSError), (place / "running").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)  # without a CPU: a run must not be disturbed
        over.set()

    threading.Thread(target=wait, daemon=True).start()
    trials = at = 0
    while not over.wait(every_s):
        with contextlib.suppress(OSError), (place / "run" / "journal.jsonl").open("rb") as file:
            file.seek(at)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                at += len(line)
                trials += line.startswith(TRIAL)
        answer(trials=trials)
    tell_state(place)


def cancel(job: str, within_s: float) -> None:
    """End a job as SIGTERM does."""
    place = Path(job)
    begun = read_json(place / "job.json")
    if place.is_dir():  # it may wait for another run, and must not begin then
        (place / "cancelled").write_text("")
    if is_running(place) and begun:
        with contextlib.suppress(ProcessLookupError):
            os.kill(begun["pid"], signal.SIGTERM)
        until = time.monotonic() + within_s
        while is_running(place) and time.monotonic() < until:
            time.sleep(0.1)
    tell_state(place)


def manifest(job: str) -> None:
    """Tell the files of a job's run, with sizes and digests. Links and devices are only counted."""
    files = odd = 0
    for at, folders, names in os.walk(Path(job) / "run"):
        odd += sum(Path(at, name).is_symlink() for name in folders)
        for name in sorted(names):
            path = Path(at, name)
            about = path.lstat()
            if not stat.S_ISREG(about.st_mode) or files == MOST_FILES:
                odd += 1
                continue
            files += 1
            below = path.relative_to(Path(job) / "run")
            answer(path=str(below), size=about.st_size, sha256=digest(path))
    answer(files=files, odd=odd)


def remove(job: str) -> None:
    """Remove a job that does not run."""
    place = Path(job)
    if not is_running(place):
        shutil.rmtree(place, ignore_errors=True)
        with contextlib.suppress(OSError):
            place.parent.rmdir()
    answer(removed=not place.exists())


@contextlib.contextmanager
def alone() -> Iterator[bool]:
    """Keep runs off this host; yield False if one goes on."""
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as held:
        try:
            held.bind(f"\0{SOLE_RUN}")
        except OSError:
            yield False
            return
        yield True


def free(within_s: float) -> None:
    """Wait until no run has this host. A losttick that looks itself would disturb the run."""
    until, had = time.monotonic() + within_s, False
    while not had and time.monotonic() < until:
        with alone() as had:
            pass
        time.sleep(0 if had else 1)
    answer(free=had)


def boot(entry: str | None) -> None:
    """Boot this host, once into an entry of the boot loader if one is given."""
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), *SBIN])
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    with alone() as had:
        if not had:
            answer(error="another run goes on there", busy=True)
            return
        if entry is not None:
            tool([*root, "grub-reboot", entry])
        os.sync()
        try:
            tool([*root, "reboot"])
        except OSError:  # whoever boots the host later must not get that entry
            with contextlib.suppress(OSError):
                tool([*root, "grub-editenv", "-", "unset", "next_entry"])
            raise
        answer(boots=True)


VERBS = (facts, install, make, start, state, follow, cancel, manifest, remove, free, boot)


def main() -> None:
    """Do what the first argument says."""
    words = json.loads(sys.argv[1])
    verb = {each.__name__: each for each in VERBS}[words.pop("verb")]
    try:
        verb(**words)
    except OSError as error:
        about = f" ({os.fsdecode(error.filename)})" if error.filename else ""
        answer(error=f"{error.strerror or error}{about}")
        sys.exit(1)


if __name__ == "__main__":
    main()
