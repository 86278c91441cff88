"""A fleet file: hosts, kernels, plan and engine, all checked."""

import re
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from orchestrator.plan.strict import WHOLE, PlacedError, Strict

#: A name that is safe as a file's name, as a Slurm node and in every output.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")

#: The releases that `uname -r` prints, as far as kernels of distributions and of developers go.
_RELEASE = re.compile(r"[0-9][A-Za-z0-9._+~-]{0,63}")

#: Most hosts, and most kernels, of a fleet.
MOST = 10_000

#: Most runs of a fleet: of each host under each kernel.
MOST_RUNS = 100_000


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError(
            "a name has at most 63 letters, digits and the characters . _ -, and begins with a "
            "letter or a digit"
        )
    return text


def _release(text: str) -> str:
    if not _RELEASE.fullmatch(text):
        raise ValueError("a kernel is named as `uname -r` prints it")
    return text


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it has characters that can't be printed")
    return text


Name = Annotated[str, AfterValidator(_name)]
Release = Annotated[str, AfterValidator(_release)]
Line = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_one_line)]


class Engine(StrEnum):
    """The program that brings a run to its host."""

    SLURM = "slurm"
    SSH = "ssh"


class Kernel(Strict):
    """A kernel, as a host names it."""

    release: Release
    """The release that `uname -r` prints when it runs."""
    boot_entry: Line | None = None
    """The entry of the boot loader that starts it, as `grub-reboot` takes it. Left out, the
    kernel runs only where the host has it booted already."""
    feature: Name | None = None
    """The Slurm feature of nodes that run the kernel or can boot it."""


class Host(Strict):
    """A host of the fleet."""

    name: Name
    """The name in every output; with Slurm also the node's name."""
    address: Line | None = None
    """The address that SSH connects to; the name if left out."""
    port: Annotated[int, Field(strict=True, ge=1, le=65535), WHOLE] | None = None
    """The port of its SSH server; that of `[ssh]` if left out."""
    kernels: dict[Name, Kernel] = {}
    """Kernels that this host names otherwise than `[kernels]` does."""
    lacks: list[Name] = []
    """Kernels of the fleet that this host does not have."""


class Constraint(Strict):
    """Nodes that Slurm chooses."""

    name: Name
    """The name in every output."""
    constraint: Line
    """The features that a node must have, as `sbatch --constraint` takes them."""
    nodes: Annotated[int, Field(strict=True, ge=1, le=MOST), WHOLE] = 1
    """The number of runs of each kernel that go to such nodes."""


class Slurm(Strict):
    """The settings of Slurm."""

    command: Line = "losttick"
    """The losttick of the nodes: a path, or a name on their PATH."""
    partition: Name | None = None
    """The partition; Slurm's default if left out."""
    account: Name | None = None
    """The account that pays; Slurm's default if left out."""
    hours: Annotated[float, Field(gt=0, le=8760)] | None = None
    """Time limit of a run, in hours; the partition's if left out."""


class Ssh(Strict):
    """The settings of SSH."""

    user: Name | None = None
    """The user on the hosts; your own name if left out."""
    port: Annotated[int, Field(strict=True, ge=1, le=65535), WHOLE] = 22
    """The port of the hosts' SSH servers."""
    known_hosts: Line | None = None
    """The file with the hosts' keys; ~/.ssh/known_hosts if left out."""
    wheels: Line | None = None
    """A folder of wheels, from which losttick is installed on the hosts. Left out, they must have
    it."""
    python: Line = "python3"
    """The Python of the hosts: a path, or a name on their PATH."""
    command: Line = "losttick"
    """The losttick of the hosts, where `wheels` is left out."""
    folder: Line = ".cache/losttick/fleet"
    """The folder of the hosts for installation and runs, from the user's home if relative."""
    at_once: Annotated[int, Field(strict=True, ge=1, le=1000), WHOLE] = 100
    """Hosts that are worked with at a time."""
    boot_s: Annotated[float, Field(ge=1, le=86400)] = 900
    """Seconds that a host may take to boot before it is given up."""


class FleetFile(Strict):
    """A fleet file."""

    engine: Engine
    """The program that brings a run to its host."""
    plan: Line = "quick"
    """The plan: the name of one that comes with losttick, or a path from the fleet file."""
    labels: list[Name] = []
    """Labels of the runs in the history."""
    history: Line | None = None
    """The history into which `fleet collect` adds the runs: a file or a URL, as `--db` takes it;
    the default history if left out."""
    out: Line = "fleet-out"
    """The folder for the fleet's runs, from the fleet file. With Slurm all nodes must see it."""
    kernels: Annotated[dict[Name, Kernel], Field(max_length=MOST)] = {}
    """The kernels to test, by their names. Without one, each host is tested as it runs."""
    hosts: Annotated[list[Host], Field(max_length=MOST)] = []
    """The hosts to test."""
    constraints: Annotated[list[Constraint], Field(max_length=MOST)] = []
    """Nodes to test that Slurm chooses."""
    slurm: Slurm = Slurm()
    """Settings of Slurm."""
    ssh: Ssh = Ssh()
    """Settings of SSH."""

    @property
    def command(self) -> str:
        """The losttick of the hosts: a path, or a name on their PATH."""
        return self.slurm.command if self.engine is Engine.SLURM else self.ssh.command

    @model_validator(mode="after")
    def _whole(self) -> "FleetFile":
        faults = list(self._faults())
        if faults:
            raise PlacedError(faults)
        return self

    def _faults(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Yield what is wrong with settings that are right each by itself."""
        if not self.hosts and not self.constraints:
            yield (), "it names no host"
        nodes = len(self.hosts) + sum(each.nodes for each in self.constraints)
        if (runs := nodes * max(1, len(self.kernels))) > MOST_RUNS:
            words = f"it has {runs:,} runs, one for each host and kernel. Make fleets of at most"
            yield (), f"{words} {MOST_RUNS:,} runs"
        if self.constraints and self.engine is not Engine.SLURM:
            yield ("constraints",), "only Slurm can choose hosts: name them in [[hosts]]"
        seen = set()
        for table in ("hosts", "constraints"):
            for index, each in enumerate(getattr(self, table)):
                if each.name in seen:
                    yield (table, index, "name"), f"two hosts are called {each.name}"
                seen.add(each.name)
        for index, host in enumerate(self.hosts):
            for setting in ("kernels", "lacks"):
                for kernel in getattr(host, setting):
                    if kernel not in self.kernels:
                        yield (
                            ("hosts", index, setting),
                            f"host {host.name} names the kernel {kernel}, which [kernels] does not "
                            "have",
                        )
