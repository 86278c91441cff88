"""Slurm's queue is read exactly, and whatever else stands in it is left out."""

from orchestrator.fleet.slurm.queue import COMMAND, Job, read_queue

FLEET = "3f9a2b7c81d0"


def line(*fields: object) -> str:
    """Return a line as `squeue -O` pads it."""
    widths = (64, 16, 16, 24, 16, 16, 256, 256)
    return "".join(f"{str(f)[:w]:<{w}}|" for f, w in zip(fields, widths, strict=True)) + "\n"


def test_all_that_is_needed_is_read() -> None:
    text = (
        line(f"losttick-{FLEET}-7", 12, 3, "FAILED", 1280, 1, "node1", "NonZeroExitCode")
        + line(f"losttick-{FLEET}-2", 13, "N/A", "FAILED", 9, 0, "node2", "RaisedSignal:9(Killed)")
        + line(f"losttick-{FLEET}-1", 14, "N/A", "PENDING", 0, 0, "", "Nodes down|or drained")
    )
    assert read_queue(text, FLEET) == [
        Job(7, 3, 12, "FAILED", 5, 0, 1, "node1", "NonZeroExitCode"),
        Job(2, 0, 13, "FAILED", 0, 9, 0, "node2", "RaisedSignal:9(Killed)"),
        Job(1, 0, 14, "PENDING", reason="Nodes down|or drained"),
    ]
    assert [job.handle for job in read_queue(text, FLEET)] == ["12_3", "13", "14"]
    assert COMMAND[0] == "squeue"


def test_what_is_not_ours_or_not_understood_is_left_out() -> None:
    ours = f"losttick-{FLEET}-1"
    good = line(ours, 1, "N/A", "RUNNING", 0, 0, "node1", "None")
    bad = [
        line("losttick-000000000000-1", 2, "N/A", "RUNNING", 0, 0, "n", "None"),
        line(f"{ours}x", 3, "N/A", "RUNNING", 0, 0, "n", "None"),
        line(f"{ours}|9", 3, "N/A", "RUNNING", 0, 0, "n", "None"),
        line(ours, "4\u0664", "N/A", "RUNNING", 0, 0, "n", "None"),
        line(ours, 5, "[1-4]", "PENDING", 0, 0, "n", "None"),
        line(ours, 6, "N/A", "\x1b[2JRUNNING", 0, 0, "n", "None"),
        line(ours, 7, "N/A", "RUNNING", -1, 0, "n", "None"),
        line(ours, 8, "N/A", "RUNNING", "9" * 12, 0, "n", "None"),
        f"{ours}|9|N/A|RUNNING|0|0|n\n", "|" * 50 + "\n", "x" * 1_000_000 + "\n", "\x00\n", "\n",
    ]  # fmt: skip
    jobs = read_queue("".join([*bad, good, *bad]), FLEET)
    assert jobs == [Job(1, 0, 1, "RUNNING", node="node1")]
