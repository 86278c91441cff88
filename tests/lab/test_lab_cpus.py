"""A lab with two emulated CPUs. Its emulator is built first."""

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
