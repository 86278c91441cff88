"""The script `losttick`, as it is installed: signals wait while Python starts."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import orchestrator

SCRIPT = Path(orchestrator.__file__).parent / "cli" / "losttick"

#: A Python that gets a signal before its first step.
STRUCK = """#!/bin/sh
kill -s {name} $$
exec {python} "$@"
"""

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """The script beside a Python, in a folder whose name needs quotes."""
    (place := tmp_path / "a b'c" / "bin").mkdir(parents=True)
    shutil.copy(SCRIPT, place / "losttick")
    (place / "python").symlink_to(sys.executable)
    return place / "losttick"


def run(script: Path, *args: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """Run the script as a terminal would, without signals that a runner ignores."""
    root = str(Path(orchestrator.__file__).parents[1])
    return subprocess.run(
        [script, *args], capture_output=True, text=True, check=False, timeout=60,
        env=os.environ | {"PYTHONPATH": root} | env,
        preexec_fn=lambda: [signal.signal(each, signal.SIG_DFL) for each in SIGNALS] and None,
    )  # fmt: skip


@pytest.mark.parametrize("how", SIGNALS)
def test_a_signal_while_python_starts_waits_for_losttick(
    installed: Path, how: signal.Signals
) -> None:
    python = installed.with_name("python")
    python.unlink()
    name = how.name.removeprefix("SIG")
    python.write_text(STRUCK.format(name=name, python=sys.executable))
    python.chmod(0o755)
    done = run(installed, "--version")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_the_script_runs_the_python_beside_it_wherever_it_is_called_from(installed: Path) -> None:
    (link := installed.parents[2] / "anywhere").symlink_to(installed)
    for script in (installed, link):
        done = run(script, "--version")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("losttick ")
    assert run(installed, "no-such-command").returncode == 2


@pytest.mark.parametrize(
    ("args", "code"), [(["run"], 4), (["bisect", "run", "--", "run"], 204), (["bisect"], 4)]
)
def test_a_losttick_that_is_not_there_is_no_verdict(
    args: list[str], code: int, installed: Path, tmp_path: Path
) -> None:
    """Python ends with 1 after an error, and a shell with 127; for git bisect both are bad."""
    (broken := tmp_path / "broken" / "orchestrator").mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('half of it is missing')")
    done = run(installed, *args, PYTHONPATH=str(broken.parent))
    assert (done.returncode, "half of it is missing" in done.stderr) == (code, True)
    (tools := tmp_path / "tools").mkdir()
    for name in ("readlink", "env"):
        (tools / name).symlink_to(str(shutil.which(name)))
    installed.with_name("python").unlink()
    done = run(installed, *args, PATH=str(tools))
    assert (done.returncode, done.stderr) == (code, "losttick: there is no python3\n")


#: What keeps Python itself from starting: variables, and words of a shell around the command.
HINDERED = {
    "hash seed": ("PYTHONHASHSEED=abc", '"$@"'),
    "home": ("PYTHONHOME=/nonexistent", '"$@"'),
    "encoding": ("PYTHONIOENCODING=nope", '"$@"'),
    "utf8": ("PYTHONUTF8=2", '"$@"'),
    "tracemalloc": ("PYTHONTRACEMALLOC=q", '"$@"'),
    "malloc": ("PYTHONMALLOC=x", '"$@"'),
    "digits": ("PYTHONINTMAXSTRDIGITS=3", '"$@"'),
    "a folder as input": ("", '"$@" </tmp'),
    "a folder as output": ("", '"$@" 1</tmp'),
    "a folder for errors": ("", '"$@" 2</tmp'),
    "memory": ("", 'ulimit -v 10000; "$@"'),
    "broken path": ("PYTHONPATH={broken}", '"$@"'),
}


@pytest.mark.parametrize("how", HINDERED)
@pytest.mark.parametrize(
    ("args", "code"), [(["show", "."], 4), (["bisect", "run", "--", "run"], 204)]
)
def test_a_python_that_cannot_start_is_no_verdict(
    how: str, args: list[str], code: int, installed: Path, tmp_path: Path
) -> None:
    (broken := tmp_path / "broken").mkdir()
    (broken / "encodings.py").write_text("raise ImportError('no encodings here')")
    variable, words = HINDERED[how]
    env = dict([variable.format(broken=broken).split("=", 1)]) if variable else {}
    shell = ["sh", "-c", words, "sh", str(installed), *args]
    outer = {name: each for name, each in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        shell, env=outer | env, capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == code
    assert "can't start here" in done.stderr or how == "a folder for errors"


@pytest.mark.parametrize("python", ["exit 2", "exit 1", "kill -ABRT $$", "exit 127"])
def test_a_broken_python_is_no_verdict_for_bisect(installed: Path, python: str) -> None:
    installed.with_name("python").unlink()
    installed.with_name("python").write_text(f"#!/bin/sh\n{python}\n")
    installed.with_name("python").chmod(0o755)
    assert run(installed, "bisect", "run", "--", "run").returncode == 204


def test_no_signal_stays_blocked_in_a_command() -> None:
    """Else nothing could end a run but SIGKILL, and its programs would inherit it."""
    probe = "from orchestrator.cli import interrupts\nimport signal\ninterrupts.unblock()\n"
    probe += "print(signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    blocked = subprocess.run(
        ["env", "--block-signal=INT,TERM,HUP", sys.executable, "-c", probe],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert blocked.stdout == "set()\n"


def test_the_wheel_has_the_script() -> None:
    """Nothing else in the project installs a command of this name."""
    project = (Path(orchestrator.__file__).parents[1] / "pyproject.toml").read_text()
    assert '"orchestrator/cli/losttick" = "losttick"' in project
    assert "[project.scripts]" not in project
    assert os.access(SCRIPT, os.X_OK)
