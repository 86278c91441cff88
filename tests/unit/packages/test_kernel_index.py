import json
from dataclasses import asdict
from pathlib import Path

import pytest

from orchestrator.lab.kernel.names import kernel
from orchestrator.packages import kernel_index
from orchestrator.packages.apt import PackagesError
from orchestrator.packages.kernel_index import SUITES, build_packages
from orchestrator.packages.suites import Package
from tests.support.debian_kernels import RELEASE


def package(name: str, version: str, *needs: str, suite: str = "sid") -> Package:
    return Package(name, version, suite, f"http://mirror/{name}.deb", "00", needs)


def listed(cache: Path, found: dict[str, list[Package]]) -> None:
    """Let the cache say what the suites have."""
    (cache / "suites").mkdir()
    for suite in SUITES:
        entries = [asdict(each) for each in found.get(suite, [])]
        (cache / "suites" / f"{suite}.json").write_text(json.dumps(entries))


def whole(version: str, release: str = RELEASE) -> list[Package]:
    """Return what a version that can be built has."""
    plain = release.removesuffix("-cloud-amd64")
    return [
        package("linux-image-cloud-amd64", version, f"linux-image-{release}"),
        package(f"linux-image-{release}", version, f"linux-binary-{release}", "kmod",
                f"linux-modules-{release}"),
        package(f"linux-binary-{release}", version),
        package(f"linux-modules-{release}", version),
        package(f"linux-headers-{release}", version, f"linux-headers-{plain}-common",
                f"linux-kbuild-{plain}", f"linux-image-{release}", "gcc-14"),
        package(f"linux-headers-{plain}-common", version),
        package(f"linux-kbuild-{plain}", version, "libc6"),
        package("linux-source-9.1", version),
    ]  # fmt: skip


def test_modules_are_built_from_one_version(tmp_path: Path) -> None:
    listed(tmp_path, {"sid": whole("9.1.2-1") + whole("9.1.1-1")})
    found = build_packages("9.1.1-1", RELEASE, tmp_path)
    assert {each.version for each in found} == {"9.1.1-1"}
    assert {each.name for each in found} == {
        f"linux-headers-{RELEASE}", "linux-headers-9.1.0-1-common", "linux-kbuild-9.1.0-1",
        "linux-source-9.1",
    }  # fmt: skip


def test_build_tools_may_be_newer(tmp_path: Path) -> None:
    older = [each for each in whole("9.1.1-1") if "kbuild" not in each.name]
    listed(tmp_path, {"sid": whole("9.1.2-1") + older})
    found = {each.name: each.version for each in build_packages("9.1.1-1", RELEASE, tmp_path)}
    assert found["linux-kbuild-9.1.0-1"] == "9.1.2-1"
    assert found["linux-source-9.1"] == "9.1.1-1"


def test_parts_of_a_version_may_be_in_two_suites(tmp_path: Path) -> None:
    split = whole("9.1.1-1")
    listed(tmp_path, {"trixie-security": split[:5], "trixie": split[5:]})
    assert len(build_packages("9.1.1-1", RELEASE, tmp_path)) == 4


def test_what_is_pruned_is_said_with_what_can_be_had(tmp_path: Path) -> None:
    pruned = [each for each in whole("9.1.1-1") if "source" not in each.name]
    listed(tmp_path, {"sid": pruned + whole("9.1.3-1"), "bookworm": whole("6.1.9-1")})
    with pytest.raises(PackagesError) as caught:
        build_packages("9.1.1-1", RELEASE, tmp_path)
    assert str(caught.value) == (
        "kernel 9.1.1-1: no suite of this mirror has what modules are built from (headers, "
        "source) any more. It has: 9.1.3-1. Or bring the packages: deb:FILE,…"
    )
    with pytest.raises(
        PackagesError, match=r"the kernel any more\. .*: 9.1.1-1, 9.1.3-1, 6.1.9-1\."
    ):
        kernel("debian:8.1.1-1", tmp_path)


def test_without_its_modules_a_kernel_cannot_be_had(tmp_path: Path) -> None:
    pruned = [each for each in whole("9.1.1-1") if "modules" not in each.name]
    listed(tmp_path, {"sid": pruned})
    with pytest.raises(PackagesError, match="no suite of this mirror has the kernel"):
        kernel("debian:9.1.1-1", tmp_path)


@pytest.mark.parametrize(
    ("version", "first"),
    [
        ("5.10.262-1", "bullseye-security"),
        ("6.1.176-1", "bookworm-backports"),
        ("6.1.176-1~deb11u1", "bullseye-security"),
        ("6.12.95-1~bpo12+1", "bookworm-backports"),
        ("6.12.117-1", "trixie-backports"),
        ("7.2.12-1", "sid"),
    ],
)
def test_suites_are_read_in_the_likely_order(version: str, first: str) -> None:
    order = kernel_index._likely_first(version)
    assert order[0] == first
    assert sorted(order) == sorted(SUITES)
