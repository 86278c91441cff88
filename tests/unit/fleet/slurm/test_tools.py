"""Failures of Slurm's commands: those that pass are told from those that stay, with advice."""

import asyncio
from pathlib import Path

import pytest

from orchestrator.fleet.executor import FleetError
from orchestrator.fleet.slurm import tools
from orchestrator.fleet.slurm.tools import SlurmToolError, ask, explained

#: Printed by Slurm 22.05 and munge 0.5.15.
PASSING = {
    "slurm_load_jobs error: Unable to contact slurm controller (connect failure)": "slurmctld",
    "squeue: error: Munge encode failed: Failed to access \"/run/munge/munge.socket.2\": No such "
    "file or directory (Did you start munged?)": "munged",
    "slurm_load_jobs error: Unexpected missing socket error": "slurmctld",
    "slurm_load_jobs error: Protocol authentication error": "munge",
    "sbatch: error: Batch job submission failed: Expired credential": "clocks",
    "error: Munge decode failed: Rewound credential": "clocks",
    "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation": "long",
    "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying": "no more jobs",
    "Unable to write: No space left on device": "no room",
}  # fmt: skip
STAYING = {
    "squeue: fatal: Could not establish a configuration source": "SLURM_CONF",
    "sbatch: error: Batch job submission failed: Invalid feature specification": "sinfo",
    "sbatch: error: Batch job submission failed: Invalid node name specified": "sinfo -N",
    "sbatch: error: Batch job submission failed: Invalid partition name specified": "sinfo -s",
    "sbatch: error: Batch job submission failed: User's group not permitted to use this "
    "partition": "partition",
    "sbatch: error: Batch job submission failed: Invalid account or account/partition combination "
    "specified": "account",
    "sbatch: error: Batch job submission failed: Access/permission denied": "right",
}  # fmt: skip


@pytest.mark.parametrize(("words", "advice"), PASSING.items())
def test_failures_that_pass(words: str, advice: str) -> None:
    error = explained(words)
    assert error.passing
    assert error.transient
    assert advice in str(error)


@pytest.mark.parametrize(("words", "advice"), STAYING.items())
def test_failures_that_stay(words: str, advice: str) -> None:
    error = explained(words)
    assert not error.passing
    assert advice in str(error)
    assert words in str(error)


def test_words_are_inert_and_short() -> None:
    told = str(explained("sbatch: error: \x1b]0;owned\x07" + "y" * 100_000))
    assert told.isprintable()
    assert len(told) < 500


async def test_a_command_that_is_missing_or_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(FleetError, match="slurm-client"):
        await ask(("losttick-no-such-tool",), "asking")
    monkeypatch.setattr(tools, "DEADLINE_S", 0.2)
    with pytest.raises(SlurmToolError, match="did not end within") as hung:
        await ask(("sleep", "60"), "asking")
    assert hung.value.passing
    assert not asyncio.all_tasks() - {asyncio.current_task()}


async def test_variables_of_the_user_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SBATCH_ARRAY_INX", "SQUEUE_PARTITION", "SBATCH_QOS", "SLURM_CONF"):
        monkeypatch.setenv(name, "x")
    printed = (await ask(("env",), "asking")).splitlines()
    assert {"SBATCH_QOS=x", "SLURM_CONF=x"} <= set(printed)
    assert not {"SBATCH_ARRAY_INX=x", "SQUEUE_PARTITION=x"} & set(printed)
