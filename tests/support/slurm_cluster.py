"""A cluster of Slurm on this computer: munged, slurmctld and two nodes, in folders of their own.

A node's kernel is a feature that its helper reads from a file. Its reboot is a stand-in: the next
kernel becomes the present one, all that runs on the node is killed, and slurmd starts again as
after a boot.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from orchestrator.process.tool import bound_to_us
from tests.support.needs import Need, lacking
from tests.support.places import ROOT
from tests.support.processes import lives, wait_until

PROGRAMS = ("munged", "slurmctld", "slurmd", "squeue")

#: Names a node in the environment of its slurmd.
NODE = "LOSTTICK_TEST_NODE"

NODES = ("node1", "node2")

CONFIG = """
ClusterName=losttick
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={place}/munge.socket,cred_expire=2
SlurmctldPort={ports[0]}
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/%n.pid
SlurmdSpoolDir={place}/%n
StateSaveLocation={place}/state
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
MailProg=/bin/true
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
ReturnToService=2
SlurmdTimeout=20
MessageTimeout=5
KillWait=5
MinJobAge={min_job_age}
SchedulerParameters=sched_interval=1,bf_interval=2
NodeFeaturesPlugins=node_features/helpers
RebootProgram={place}/reboot
ResumeTimeout=120
NodeName=node1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs={cpus}
NodeName=node2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs={cpus}
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""

#: Slurm gives this program hardly any environment.
HEALTH = """
HealthCheckProgram={place}/health
HealthCheckInterval=3
HealthCheckNodeState=IDLE
"""

HEALTH_CHECK = """#!/bin/sh
export SLURM_CONF={place}/slurm.conf PYTHONPATH={root}
exec {python} -P -m orchestrator doctor --health
"""

HELPERS = """
Feature=k1 Helper={place}/helper
Feature=k2 Helper={place}/helper
MutuallyExclusive=k1,k2
BootTime=120
ExecTime=30
"""

#: Stand-ins for `grub-reboot`, and for the boot loader's present choice.
HELPER = """#!/bin/sh
now={place}/$LOSTTICK_TEST_NODE.now
if [ $# -gt 0 ]; then echo "$1" >{place}/$LOSTTICK_TEST_NODE.next; else cat "$now"; fi
"""

REBOOT = """#!/bin/sh
node={place}/$LOSTTICK_TEST_NODE
mv "$node.next" "$node.now"
echo >>"$node.reboots"
kill -KILL "$(cat "$node.pid")"
"""

#: A node's slurmd, which begins as after a boot whenever it was killed.
SLURMD = """#!/bin/sh
while [ ! -e {place}/stopped ]; do
    slurmd -b -D -N "$LOSTTICK_TEST_NODE" -f {place}/slurm.conf
    while [ -e {place}/$LOSTTICK_TEST_NODE.off ]; do sleep 0.1; done
done
"""

#: losttick as it is on the nodes. Each is alone on its host: a network namespace of its own lets
#: two be the only run at once. It does not wait for a quieter host, because the other node and the
#: tests beside it make this one busy.
LOSTTICK = """#!/bin/sh
exec unshare --net -- {python} -P -c '
from orchestrator.campaign import pauses
pauses.BUSY_PERCENT = 101
from orchestrator.cli import main
main()
' "$@"
"""


@dataclass
class Cluster:
    """A running cluster."""

    place: Path
    env: dict[str, str]
    daemons: "dict[str, subprocess.Popen[bytes]]" = field(default_factory=dict)

    @property
    def losttick(self) -> str:
        """The losttick of the nodes."""
        return str(self.place / "losttick")

    def start(self, name: str) -> None:
        """Start a daemon: munged, slurmctld, node1 or node2."""
        commands = {
            "munged": [
                "munged", "--force", "--foreground", f"--socket={self.place}/munge.socket",
                f"--key-file={self.place}/munge.key", f"--log-file={self.place}/munged.log",
                f"--pid-file={self.place}/munged.pid", f"--seed-file={self.place}/munge.seed",
            ],
            "slurmctld": ["slurmctld", "-D", "-f", f"{self.place}/slurm.conf"],
        }  # fmt: skip
        command = commands.get(name, [f"{self.place}/slurmd"])
        env = self.env | ({NODE: name} if name in NODES else {})
        with (self.place / f"{name}.log").open("ab") as log:
            self.daemons[name] = subprocess.Popen(
                [*bound_to_us(), *command], env=env, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, start_new_session=True, cwd=self.place,
            )  # fmt: skip

    def kill(self, name: str) -> None:
        """Kill a daemon as a crash would."""
        daemon = self.daemons.pop(name)
        os.killpg(daemon.pid, signal.SIGKILL)
        daemon.wait(timeout=20)

    def crash(self, node: str) -> None:
        """Let a node die with all that runs there, and boot again."""
        (self.place / f"{node}.off").touch()
        self.kill_all(f"{NODE}={node}", f"SLURMD_NODENAME={node}", spare=self.daemons[node].pid)
        (self.place / f"{node}.off").unlink()

    def kill_all(self, *marks: str, spare: int = 0) -> None:
        """Kill the processes of this cluster with one of these variables in their environment."""
        for _ in range(3):  # a process may fork meanwhile
            for pid in self._processes({mark.encode() for mark in marks}) - {spare}:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)

    def _processes(self, marks: set[bytes]) -> set[int]:
        ours = f"SLURM_CONF={self.place}/slurm.conf".encode()
        found = set()
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                variables = set((process / "environ").read_bytes().split(b"\0"))
                if ours in variables and (not marks or marks & variables):
                    found.add(int(process.name))
        return found - {os.getpid()}

    def ask(self, *command: str) -> str:
        """Run one of Slurm's commands and return what it prints."""
        done = subprocess.run(
            command, env=self.env, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done
        return done.stdout

    def jobs(self) -> int:
        """Return how many jobs Slurm knows, those that ended as well; 0 if it does not answer."""
        done = subprocess.run(
            ("squeue", "--states=all", "--array", "--noheader", "-o", "%A"), env=self.env,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return done.stdout.count("\n") if done.returncode == 0 else 0

    def reboots(self, node: str) -> int:
        """Return how often a node was rebooted."""
        path = self.place / f"{node}.reboots"
        return len(path.read_text()) if path.exists() else 0

    def ready(self) -> bool:
        """Return whether all nodes are idle."""
        done = subprocess.run(
            ("sinfo", "-h", "-N", "-o", "%T"), env=self.env, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        return done.stdout.split() == ["idle"] * len(NODES)

    def stop(self) -> None:
        """End all daemons and all that they started."""
        (self.place / "stopped").touch()
        for _ in range(3):
            self.kill_all()
        for daemon in self.daemons.values():
            daemon.kill()
            daemon.wait(timeout=20)
        assert wait_until(lambda: not any(map(lives, self._processes(set()))), 20)


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        bound = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in bound]


@contextlib.contextmanager
def running_cluster(min_job_age: int = 300, *, health: bool = False) -> Iterator[Cluster]:
    """Start a cluster, and end it.

    Args:
        min_job_age: seconds for which Slurm remembers a job that ended.
        health: whether the nodes check their own health.
    """
    if os.geteuid() != 0:
        lacking(Need.SLURM, "only root can run its daemons for other users")
    path = f"{os.environ['PATH']}:/usr/sbin"
    if missing := [each for each in PROGRAMS if shutil.which(each, path=path) is None]:
        lacking(Need.SLURM, f"{', '.join(missing)}: not installed")
    if subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False).returncode:
        lacking(Need.SLURM, "no network namespace can be made, so two nodes can't be told apart")
    # The sockets' paths may have 107 bytes, and pytest's own folders are deep.
    with tempfile.TemporaryDirectory(prefix="losttick-slurm-", dir="/tmp") as folder:
        place = Path(folder)
        place.chmod(0o755)
        host = socket.gethostname().partition(".")[0]
        words = {
            "place": place, "host": host, "ports": _free_ports(3), "cpus": os.cpu_count(),
            "python": sys.executable, "root": ROOT, "min_job_age": min_job_age,
        }  # fmt: skip
        (place / "slurm.conf").write_text((CONFIG + (HEALTH if health else "")).format(**words))
        (place / "helpers.conf").write_text(HELPERS.format(**words))
        programs = {
            "helper": HELPER, "reboot": REBOOT, "slurmd": SLURMD, "losttick": LOSTTICK,
            "health": HEALTH_CHECK,
        }  # fmt: skip
        for name, text in programs.items():
            (place / name).write_text(text.format(**words))
            (place / name).chmod(0o755)
        (place / "munge.key").write_bytes(os.urandom(128))
        (place / "munge.key").chmod(0o600)
        for node in NODES:
            (place / node).mkdir()
            (place / f"{node}.now").write_text("k1\n")
        env = os.environ | {
            "SLURM_CONF": f"{place}/slurm.conf", "PYTHONPATH": str(ROOT),
            "PATH": path,
        }  # fmt: skip
        cluster = Cluster(place, env)
        try:
            cluster.start("munged")
            assert wait_until((place / "munge.socket").exists, 20)
            for name in ("slurmctld", *NODES):
                cluster.start(name)
            assert wait_until(cluster.ready, 90), (place / "slurmctld.log").read_text()
            yield cluster
        finally:
            cluster.stop()


@pytest.fixture
def cluster(nothing_left_behind: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """Give a cluster which this process's own commands of Slurm ask."""
    with running_cluster() as made:
        monkeypatch.setenv("SLURM_CONF", made.env["SLURM_CONF"])
        monkeypatch.setenv("PYTHONPATH", str(ROOT))
        yield made
