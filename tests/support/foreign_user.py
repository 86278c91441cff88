"""Another user of this computer, who attacks. Only root can be one."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.needs import Need, lacking, not_applicable
from tests.support.places import ROOT

#: The user and the group `nobody`.
NOBODY = 65534

#: A user of no account: without a name and a home. Containers run programs as such users.
UNNAMED = 54321


class OtherUser:
    """A user with a folder of his own, into which this user can look."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def sh(self, script: str) -> None:
        """Run a shell script as this user, in his folder."""
        ids = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        subprocess.run(["setpriv", *ids, "sh", "-ec", script], cwd=self.home, check=True)

    def needs_this_clone(self) -> None:
        """Skip the test if this user may not read losttick's files, as in a clone of root's."""
        with self.acts():
            if not os.access(ROOT / "orchestrator", os.R_OK):
                not_applicable("another user may not read this clone")

    @contextmanager
    def acts(self, number: int = NOBODY) -> Iterator[None]:
        """Be this user, or one with another number, in this process, until the context ends."""
        groups = os.getgroups()
        os.setgroups([])
        os.setresgid(number, number, 0)
        os.setresuid(number, number, 0)
        try:
            yield
        finally:
            os.setresuid(0, 0, 0)
            os.setresgid(0, 0, 0)
            os.setgroups(groups)


@pytest.fixture
def other_user() -> Iterator[OtherUser]:
    """Another user, or a skip."""
    if os.geteuid() != 0:
        lacking(Need.ROOT, "only root can be another user")
    if shutil.which("setpriv") is None:
        lacking(Need.ROOT, "there is no setpriv")
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        os.chown(home, NOBODY, NOBODY)
        home.chmod(0o755)
        yield OtherUser(home)
