"""Labs whose guest has two vCPUs, on two emulated CPUs and on one."""

from pathlib import Path

import pytest

from tests.support.lab_command import lab_run, records

pytestmark = pytest.mark.timeout(1200)


@pytest.mark.thorough
def test_two_vcpus_on_two_emulated_cpus(tmp_path: Path) -> None:
    """Each vCPU has a timer to lose, and all of them print to one port."""
    options = ["--cpus=2", "--vcpus=2", "--variant=revert-fix"]
    (cell,) = lab_run(tmp_path / "out", *options, trials=3)["cells"]
    # A vCPU that is saved with the vector in its IRR already survives: seldom.
    assert cell["outcomes"]["lost"] >= 2
    assert cell["diagnoses"] == {"lost one-shot interrupt": cell["outcomes"]["lost"]}
    assert cell["lost_by_vcpu"].keys() == {"0", "1"}
    assert cell["verdict"] == "affected"
    assert cell["host"]["cpus"] == 2
    instances = [m for m in records(tmp_path / "out", "instance") if m["role"] == "host"]
    assert {tuple(instance["pinned_cpus"]) for instance in instances} == {(1, 0)}


@pytest.mark.thorough
def test_two_vcpus_on_one_emulated_cpu_and_a_control_on_each(tmp_path: Path) -> None:
    """A vCPU that waits for the port with interrupts off leaves the CPU to the port's owner."""
    out = tmp_path / "out"
    (cell,) = lab_run(out, "--vcpus=2", "--variant=untouched", trials=3)["cells"]
    assert [control["seen"] for control in cell["controls"]] == [True, True]
    controls = [each for each in records(out, "trial") if each.get("role") == "control"]
    assert {trial.get("vcpu", 0) for trial in controls if trial["outcome"] == "lost"} == {0, 1}
    assert cell["trials"] == 3
    assert cell["verdict"] == "clean", cell["why"]
