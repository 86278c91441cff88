"""What the tests of a session share: a loop, and this computer with its QEMU."""

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

import pytest

from orchestrator.bugs.exposure import ExposureState, exposure
from orchestrator.campaign.accelerator import auto_accel
from orchestrator.doctor.examine import apicv_finding, kvm_finding, qemu_finding
from orchestrator.errors import InputError, LosttickError, UnfitError
from orchestrator.guest.config import GuestConfig
from orchestrator.host.facts import HostFacts
from orchestrator.host.kvm_access import USABLE, KvmMissingError, check_kvm
from orchestrator.host.local import LocalHost, open_host
from orchestrator.host.protocol import Host
from orchestrator.plan.choices import Requirement
from orchestrator.pytest_plugin.loop_thread import LoopThread
from orchestrator.results.printable import paragraph
from orchestrator.vm.config import Accel, InstanceConfig
from orchestrator.vm.tryout import PERIOD_NS, try_out


class Session:
    """The loop and the host of a session. Both are made when they are first needed."""

    def __init__(self, config: pytest.Config) -> None:
        named: Path | None = config.getoption("--losttick-artefacts")
        self.artefacts = named and config.invocation_params.dir / named
        """The folder for artefacts that the user named; None for a temporary one."""
        self.told: set[str] = set()
        """Names of the properties that were added to the suite."""
        self._config = config
        self.loop = LoopThread()
        config.add_cleanup(self.loop.close)
        self._must_run = bool(config.getoption("--losttick-must-run"))
        self._qemu: str | None = config.getoption("--losttick-qemu")
        self._host: LocalHost | None = None
        self._no_host: LosttickError | None = None
        self._lacks: dict[str, str | None] = {}

    def host(self) -> LocalHost:
        """Return this computer. Without a QEMU, skip the test, in doctor's words."""
        __tracebackhide__ = True
        if self._host is None and self._no_host is None:
            try:
                self._host = self.loop.run(self._open())
                if note := self._host.user.note:
                    _warn(self._config, note)
            except LosttickError as error:
                self._no_host = error
        if self._host is not None:
            return self._host
        assert self._no_host is not None
        words, named = str(self._no_host), self._qemu is not None
        if isinstance(self._no_host, UnfitError):
            self.lack(qemu_finding(self._no_host, named=named).in_words)
        if isinstance(self._no_host, InputError):
            words = f"--losttick-qemu: {words}"
        pytest.fail(paragraph(words), pytrace=False)

    async def _open(self) -> LocalHost:
        async with open_host(self._qemu) as host:
            return host

    def require(self, requirements: Iterable[str]) -> None:
        """Skip the test if this computer lacks something, in doctor's words."""
        __tracebackhide__ = True
        host = self.host()
        for name in requirements:
            if name not in self._lacks:
                self._lacks[name] = self._lacking(host, Requirement(name))
            if words := self._lacks[name]:
                self.lack(f"{name} is required. {words}")

    def _lacking(self, host: LocalHost, requirement: Requirement) -> str | None:
        """Return why this computer lacks something; None if it has it."""
        facts = host.facts
        try:
            check_kvm(facts)
        except KvmMissingError as error:
            return _kvm_words(facts, error)
        if requirement is Requirement.APICV:
            exposed = exposure(facts, Accel.KVM, None)
            fit = exposed.state is ExposureState.EXPOSED
            return None if fit else apicv_finding(facts, exposed).in_words
        plainest = InstanceConfig(Accel.KVM, GuestConfig(period_ns=PERIOD_NS))
        why = self.loop.run(try_out(host, plainest)).why_not
        return None if why is None else f"{Accel.KVM} {plainest.guest.mode}: {why}"

    def accel(self, host: Host, wanted: Accel | None) -> Accel:
        """Return the accelerator: the wanted one, or else KVM where there is one, or TCG.

        A KVM that cannot be used skips the test, in doctor's words.
        """
        __tracebackhide__ = True
        try:
            found = auto_accel(host.facts) if wanted is None else wanted
            if found is Accel.KVM:
                check_kvm(host.facts)
        except KvmMissingError as error:
            self.lack(_kvm_words(host.facts, error))
        return found

    def lack(self, words: str) -> NoReturn:
        """Skip the test because this host cannot run it, or fail it if it must run."""
        __tracebackhide__ = True
        said = paragraph(words)
        if self._must_run:
            pytest.fail(f"{said} (--losttick-must-run allows no skip)", pytrace=False)
        pytest.skip(said)


def _kvm_words(facts: HostFacts, error: KvmMissingError) -> str:
    """Return why there is no KVM, as doctor says it; the QEMU may also be without it."""
    return str(error) if facts.kvm_device == USABLE else kvm_finding(facts).in_words


def _warn(config: pytest.Config, note: str) -> None:
    """Have pytest's summary show a note. It is no warning that a project's filters make an error.

    With pytest-xdist, the workers hand what they hear so to the summary.
    """
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.warn(pytest.PytestWarning(f"losttick: {note}"), stacklevel=1)
    (warning,) = caught
    heard = {"warning_message": warning, "when": "runtest", "nodeid": "", "location": None}
    config.hook.pytest_warning_recorded.call_historic(kwargs=heard)
