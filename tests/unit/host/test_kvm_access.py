"""A user without access to KVM is told what gives it."""

import grp
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.campaign.accelerator import auto_accel
from orchestrator.campaign.requirements import RequirementError, require
from orchestrator.errors import Lack
from orchestrator.host.kvm_access import (
    ABSENT,
    KvmMissingError,
    access_by,
    access_to_kvm,
    check_kvm,
)
from orchestrator.host.local_facts import kvm_device
from orchestrator.plan.load import build_plan
from orchestrator.testing import FACTS
from orchestrator.vm.config import Accel

DEVICE = Path("/dev/kvm")
DENIED = replace(FACTS, kvm_device="permission denied")
NONE = replace(FACTS, kvm_device=ABSENT)
assert FACTS.qemu is not None
WITHOUT = replace(FACTS, qemu=replace(FACTS.qemu, accelerators=("tcg",)))


@pytest.mark.parametrize(
    ("group", "words"),
    [
        (
            grp.struct_group(("kvm", "x", 104, ["bob"])),
            "run `sudo usermod -aG kvm alice`, then log in again",
        ),
        (
            grp.struct_group(("kvm", "x", 104, ["alice"])),
            "run `newgrp kvm`, or log in again: alice is in the group kvm, but this session is "
            "older",
        ),
        (None, "run `sudo setfacl -m u:alice:rw /dev/kvm`, then run this again"),
    ],
)
def test_access_comes_by_the_group_else_by_an_acl(
    group: grp.struct_group | None, words: str
) -> None:
    assert str(access_by(group, "alice", DEVICE)) == words


def test_whoever_has_access_needs_none(tmp_path: Path) -> None:
    (tmp_path / "kvm").touch(mode=0o600)
    assert access_to_kvm(tmp_path / "kvm") is None
    assert access_to_kvm(tmp_path / "absent") is None


def test_auto_is_tcg_only_where_there_is_no_kvm() -> None:
    assert auto_accel(FACTS) is Accel.KVM
    assert auto_accel(NONE) is Accel.TCG
    with pytest.raises(KvmMissingError, match=r"this host's KVM was not tested: .*denied"):
        auto_accel(DENIED)
    assert auto_accel(WITHOUT) is Accel.KVM, "another QEMU of the plan may have KVM"


def test_what_is_no_kvm_lacks_the_accelerator() -> None:
    check_kvm(FACTS)
    for facts in (NONE, DENIED, WITHOUT):
        with pytest.raises(KvmMissingError, match="KVM") as caught:
            check_kvm(facts)
        assert caught.value.lacks is Lack.ACCEL


def test_a_run_may_require_kvm() -> None:
    plan = build_plan({"axes": {"accel": ["auto", "tcg"]}, "require": ["kvm"]}, "test")
    require(plan, plan.cells(Accel.KVM), FACTS)
    for facts in (NONE, DENIED, WITHOUT):
        with pytest.raises(RequirementError, match="KVM is required: "):
            require(plan, plan.cells(Accel.TCG), facts)
    only = build_plan({"axes": {"accel": "tcg"}, "require": ["kvm"]}, "test")
    with pytest.raises(RequirementError, match="no cell runs under KVM"):
        require(only, only.cells(Accel.KVM), FACTS)


def test_a_node_that_leads_nowhere_is_no_kvm(tmp_path: Path) -> None:
    assert kvm_device(str(tmp_path / "none")) == ABSENT
    assert kvm_device(str(tmp_path)) == "is a directory"
