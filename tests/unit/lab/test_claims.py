"""A booted lab is what its arm's name says, or has no trials."""

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.lab.arms import Arm
from orchestrator.lab.claims import ClaimError, check_claims
from orchestrator.lab.kernel.debian import Debian
from orchestrator.lab.kernel.kernel import Kernel
from orchestrator.testing import FACTS

KERNEL = Kernel(Debian("6.1.1-1"), "6.1.1-1", "6.1.0", Path("vmlinuz"), {"kvm-intel": b""})
BUILT_IN = replace(KERNEL, modules={})


@pytest.mark.parametrize(
    ("arm", "kernel", "modules", "words"),
    [
        (Arm(KERNEL), "6.1.0", {"enable_apicv": "Y"}, None),
        (Arm(KERNEL), "6.1.0", {"enable_apicv": "1"}, None),
        (Arm(KERNEL, apicv=False), "6.1.0", {"enable_apicv": "N"}, None),
        (Arm(KERNEL, apicv=False), "6.1.0", {"enable_apicv": "0"}, None),
        (Arm(KERNEL), "6.1.0", {"enable_apicv": "N"}, "enable_apicv=Y, as insmod said"),
        (
            Arm(BUILT_IN, apicv=False), "6.1.0", {"enable_apicv": "Y"},
            "enable_apicv=N, as the kernel's command line said, and runs with enable_apicv=Y",
        ),
        (Arm(KERNEL, apicv=False), "6.1.0", {}, "does not say how it runs"),
        (Arm(KERNEL), "6.1.0-dirty", {"enable_apicv": "Y"}, "6.1.0-dirty has booted, not 6.1.0"),
        (Arm(KERNEL), "", {"enable_apicv": "Y"}, "an unknown kernel has booted"),
    ],
)  # fmt: skip
def test_what_an_arm_claims_is_read_back(
    arm: Arm, kernel: str, modules: dict[str, str], words: str | None
) -> None:
    facts = replace(FACTS, kernel=kernel, kvm_modules={"kvm_intel": modules})
    if words is None:
        check_claims(arm, facts)
        return
    with pytest.raises(ClaimError, match=words):
        check_claims(arm, facts)
