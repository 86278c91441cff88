import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from orchestrator.fleet.fleet_file import Constraint, FleetFile, Host, Kernel, Slurm, Ssh
from orchestrator.fleet.load import _WORDING, FleetFileError, load_fleet, schema_text
from orchestrator.fleet.task import tasks
from orchestrator.plan.fault_words import fault_sentences
from orchestrator.plan.faults import PlanError
from tests.support.docs import blocks
from tests.support.fake_fleet import FLEET, TASKS, fleet_file
from tests.support.places import DOCS

FAULTY = """
engine = "ssh"
plam = "quick"

[kernels."v6.1"]
release = "six"

[[hosts]]
name = "a"
lacks = ["v6.2"]

[[hosts]]
name = "b"
[hosts.kernels."v6.1"]
release = "6.1.0"
boot_entri = "x"

[[hosts]]
name = "a\\u001b"
port = 70000
"""

TWICE = """
engine = "ssh"
[[hosts]]
name = "a"

[[hosts]]
name = "a"
lacks = ["new"]

[[constraints]]
name = "c"
constraint = "x"
"""


def faults(tmp_path: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(FleetFileError) as caught:
        load_fleet(fleet_file(tmp_path, text))
    return caught.value.faults


def test_a_fleet_file(tmp_path: Path) -> None:
    loaded = load_fleet(fleet_file(tmp_path))
    every = tasks(loaded.fleet)
    assert [each.id for each in every if not each.why_not] == TASKS
    assert loaded.plan.limits.planned == 4
    assert loaded.base == tmp_path
    relative = load_fleet(Path(os.path.relpath(tmp_path / "fleet.toml")))
    assert relative.base.samefile(tmp_path)


@pytest.mark.parametrize("named", ["h.sqlite", "/x/h.sqlite", "postgresql://u@s/d"])
def test_the_history_counts_from_the_file(tmp_path: Path, named: str) -> None:
    found = load_fleet(fleet_file(tmp_path, f'history = "{named}"\n{FLEET}')).history
    assert found == (str(tmp_path / named) if named == "h.sqlite" else named)
    assert load_fleet(fleet_file(tmp_path)).history is None


def test_every_fault_is_listed_with_its_line(tmp_path: Path) -> None:
    found = faults(tmp_path, FAULTY)
    assert [fault.split(": ")[0] for fault in found] == [
        "line 6, kernels.v6.1.release",
        "line 16, hosts[2].kernels.v6.1.boot_entri",
        "line 19, hosts[3].name",
        "line 20, hosts[3].port",
        "line 3, plam",
    ]
    assert "did you mean boot_entry?" in found[1]
    assert "did you mean plan?" in found[4]
    assert "\x1b" not in "".join(found)


def test_faults_of_several_settings_have_their_lines(tmp_path: Path) -> None:
    assert [fault.split(" (")[0] for fault in faults(tmp_path, TWICE)] == [
        "line 10, constraints: only Slurm can choose hosts: name them in [[hosts]]",
        "line 7, hosts[2].name: two hosts are called a",
        "line 8, hosts[2].lacks: host a names the kernel new, which [kernels] does not have",
    ]
    assert faults(tmp_path, 'engine = "ssh"') == ("fleet file: it names no host",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("engine = [", "not TOML"),
        (FLEET.replace("plan.toml", "none"), "plan: none: No such file or directory. It is a"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, text: str, words: str) -> None:
    assert words in faults(tmp_path, text)[0]
    with pytest.raises(FleetFileError, match="No such file"):
        load_fleet(tmp_path / "none.toml")


def test_a_faulty_plan_is_named(tmp_path: Path) -> None:
    file = fleet_file(tmp_path)
    (tmp_path / "plan.toml").write_text("controls = 7\n")
    with pytest.raises(PlanError, match="line 1, controls"):
        load_fleet(file)


def test_the_published_schema_is_that_of_the_model() -> None:
    """Else: `losttick fleet schema > docs/fleet.schema.json`."""
    assert json.loads((DOCS / "fleet.schema.json").read_text()) == json.loads(schema_text())


@pytest.mark.parametrize("model", [FleetFile, Host, Kernel, Constraint, Slurm, Ssh])
def test_the_schema_says_what_every_setting_is(model: type[BaseModel]) -> None:
    for setting, field in model.model_fields.items():
        assert field.description, f"{model.__name__}.{setting}"


def test_the_schema_takes_the_documented_files_and_refuses_others(tmp_path: Path) -> None:
    """As an editor checks them."""
    documented = [b.text for b in blocks("toml") if "engine = " in b.text]
    good = [FLEET, *documented]
    for number, text in enumerate(good):
        (tmp_path / f"good{number}.toml").write_text(text)
    (tmp_path / "bad.toml").write_text(FLEET.replace("lacks", "laks"))
    check = [
        str(Path(sys.executable).with_name("check-jsonschema")), "--schemafile",
        str(DOCS / "fleet.schema.json"),
    ]  # fmt: skip
    names = [str(tmp_path / f"good{number}.toml") for number in range(len(good))]
    done = subprocess.run([*check, *names], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    bad = subprocess.run(
        [*check, str(tmp_path / "bad.toml")], capture_output=True, text=True, check=False
    )
    assert bad.returncode == 1
    assert "laks" in bad.stdout


def test_more_runs_than_a_fleet_can_have_are_refused_before_they_are_listed(tmp_path: Path) -> None:
    """10,000 constraints of 10,000 nodes each would be listed until memory runs out."""
    chosen = '[[constraints]]\nname = "c{}"\nconstraint = "x"\nnodes = 10000\n'
    text = 'engine = "slurm"\n' + "".join(map(chosen.format, range(11)))
    (fault,) = faults(tmp_path, text)
    assert "it has 110,000 runs" in fault


_VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30), st.dates(),
        st.integers(10**4999, 10**5000), st.sampled_from(["ssh", "slurm", "a", "6.1.0", "quick"]),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=4,
)  # fmt: skip

_NAMES = [*FleetFile.model_fields, *Host.model_fields, *Kernel.model_fields, *Ssh.model_fields]


@settings(max_examples=100)
@given(st.data())
def test_a_fleet_of_drawn_values_is_a_fleet_or_has_faults(data: st.DataObject) -> None:
    table = data.draw(st.sampled_from(["kernels", "hosts", "constraints", "slurm", "ssh", ""]))
    values = {data.draw(st.sampled_from(_NAMES)): data.draw(_VALUES) for _ in range(2)}
    fleet = {"engine": "ssh", "hosts": [{"name": "a"}]}
    given_: object = {"k": values} if table == "kernels" else values
    given_ = [values] if table in ("hosts", "constraints") else given_
    drawn = fleet | (values if not table else {table: given_})
    try:
        assert tasks(FleetFile.model_validate(drawn))
    except ValidationError as error:
        said = FleetFileError(Path("x"), fault_sentences(error, "", _WORDING))
        assert said.faults
        assert len(str(said)) < 20_000
