"""Batch scripts say exactly what the fleet file asks for, and nothing in it becomes shell text."""

import shlex
from pathlib import Path

import pytest

from orchestrator.fleet.fleet_file import FleetFile
from orchestrator.fleet.folder import FleetFolder
from orchestrator.fleet.slurm.scripts import ScriptError, make_identity, scripts
from orchestrator.fleet.task import tasks

FLEET = {
    "engine": "slurm",
    "kernels": {
        "old": {"release": "6.5.0", "feature": "k65"},
        "new": {"release": "6.7.0", "feature": "k67"},
    },
    "hosts": [{"name": "node1"}, {"name": "node2", "lacks": ["new"]}],
    "constraints": [{"name": "intel", "constraint": "apicv|skylake", "nodes": 4}],
    "slurm": {"partition": "kvm", "account": "ci", "hours": 1.5},
}


def made(folder: Path, fleet: object = FLEET, only: str = "") -> dict[str, str]:
    file = FleetFile.model_validate(fleet)
    wanted = [task for task in tasks(file) if not task.why_not and only in task.id]
    return scripts(file, wanted, FleetFolder(folder))


def options(script: str) -> set[str]:
    lines = script.splitlines()
    return {line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH ")}


def test_a_task_of_a_host_has_a_job_of_its_own(tmp_path: Path) -> None:
    script = made(tmp_path)["node1@old.sh"]
    assert options(script) == {
        "--job-name=losttick-NEW-1", "--partition=kvm", "--account=ci", "--time=90", "--nodes=1",
        "--nodelist=node1", "--constraint=k65", "--exclusive", "--mem=0", "--requeue",
        "--signal=B:TERM@120", "--open-mode=append",
        f"--output={tmp_path}/output/node1@old.txt",
    }  # fmt: skip
    assert len(script.splitlines()) == 15
    assert shlex.split(script.splitlines()[-1]) == [
        "exec", "losttick", "run", "--plan", f"{tmp_path}/plan.toml",
        "--out", f"{tmp_path}/runs/node1@old", "--resume-or-start", "--exclusive",
        "--expect-kernel", "6.5.0",
    ]  # fmt: skip


def test_tasks_for_which_slurm_chooses_share_an_array(tmp_path: Path) -> None:
    script = made(tmp_path)["intel@new.sh"]
    assert {"--array=1-4", '--constraint="(apicv|skylake)&k67"'} <= options(script)
    assert f"--output={tmp_path}/output/intel~%a@new.txt" in options(script)
    assert f"--out '{tmp_path}/runs/intel~'\"$SLURM_ARRAY_TASK_ID\"@new " in script
    assert set(made(tmp_path)) == {
        "node1@old.sh", "node1@new.sh", "node2@old.sh", "intel@old.sh", "intel@new.sh"
    }  # fmt: skip


def test_names_of_jobs_are_the_same_for_a_part_of_the_fleet(tmp_path: Path) -> None:
    identity = make_identity(FleetFolder(tmp_path))
    assert make_identity(FleetFolder(tmp_path)) == identity
    script = made(tmp_path, only="intel~3")["intel@new.sh"]
    assert {f"--job-name=losttick-{identity}-6", "--array=3"} <= options(script)


def test_paths_are_data(tmp_path: Path) -> None:
    folder = tmp_path / "a $(id) 100%; 'b'"
    fleet = {"engine": "slurm", "hosts": [{"name": "n"}], "slurm": {"command": "/opt/l t;id"}}
    script = made(folder, fleet)["n@booted.sh"]
    assert f"--output=\"{tmp_path}/a $(id) 100%%; 'b'/output/n@booted.txt\"" in options(script)
    assert shlex.split(script.splitlines()[-1])[:5] == [
        "exec", "/opt/l t;id", "run", "--plan", f"{folder}/plan.toml",
    ]  # fmt: skip
    assert not any("--constraint" in each for each in options(script))


@pytest.mark.parametrize("constraint", ['a" --uid=0', "a\\", "a'\""])
def test_what_sbatch_would_misread_is_refused(tmp_path: Path, constraint: str) -> None:
    chosen = [{"name": "x", "constraint": constraint}]
    with pytest.raises(ScriptError, match="which sbatch would misread"):
        made(tmp_path, {"engine": "slurm", "constraints": chosen})
    with pytest.raises(ScriptError, match="the path of the fleet"):
        made(tmp_path / "a\nb")
