"""Which methods a QEMU has, by what it says of itself."""

from dataclasses import replace

import pytest

from orchestrator.host.facts import QemuFacts
from orchestrator.snapshot.method import Method
from orchestrator.snapshot.table import MethodMissingError, snapshots

Q5_2 = QemuFacts("/qemu", "5.2.0", "0" * 64, ("kvm", "tcg"), frozenset({"migrate"}))


Q7_2 = replace(Q5_2, version="7.2.22", commands=frozenset({"migrate", "snapshot-save"}))


Q8_2 = replace(Q7_2, version="8.2.0", migration=frozenset({"socket", "exec", "rdma", "file"}))


Q9_0 = replace(Q8_2, version="9.0.0", migration=Q8_2.migration | {"mapped-ram"})


ALWAYS = {Method.HMP, Method.LOADVM, Method.EXEC, Method.INCOMING}
BY_JOBS = {Method.JOBS, Method.JOBS_HMP, Method.JOBS_LOADVM}


@pytest.mark.parametrize(
    ("qemu", "has"),
    [
        (Q5_2, ALWAYS),
        (Q7_2, ALWAYS | BY_JOBS),
        (Q8_2, ALWAYS | BY_JOBS | {Method.FILE}),
        (Q9_0, set(Method)),
    ],
)
def test_what_a_qemu_lacks_is_told_from_what_it_says(qemu: QemuFacts, has: set[Method]) -> None:
    found = set()
    for method in Method:
        try:
            snapshots(method, qemu)
            found.add(method)
        except MethodMissingError as error:
            assert str(error).startswith(f"QEMU {qemu.version} has no ")
            assert "they came with" in str(error) or "it came with" in str(error)
    assert found == has


@pytest.mark.parametrize(
    ("qemu", "method", "instead"),
    [
        (Q5_2, Method.JOBS, Method.HMP),
        (Q5_2, Method.JOBS_HMP, Method.HMP),
        (Q5_2, Method.JOBS_LOADVM, Method.LOADVM),
        (Q7_2, Method.MAPPED_RAM, Method.EXEC),
        (Q8_2, Method.MAPPED_RAM, Method.FILE),
    ],
)
def test_another_method_is_proposed_that_this_qemu_has(
    qemu: QemuFacts, method: Method, instead: Method
) -> None:
    with pytest.raises(MethodMissingError, match=f"--method {instead},"):
        snapshots(method, qemu)
    snapshots(instead, qemu)


def test_every_method_says_what_it_needs() -> None:
    on_disk = {method for method in Method if snapshots(method, Q9_0).needs_disk}
    in_place = {method for method in Method if not snapshots(method, Q9_0).new_process}
    assert on_disk == {Method.HMP, Method.LOADVM} | BY_JOBS
    assert in_place == {Method.HMP, Method.JOBS, Method.JOBS_HMP}
