"""The marker `losttick(plan=..., require=...)`, and what it asks for."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

_USAGE = (
    "losttick(plan=..., require=...) takes the name or the path of a plan, and 'kvm', 'apicv' "
    "or a list of them"
)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the markers of a test ask for."""

    plan: str | None = None
    """The name of a shipped plan or the path of a file; None for losttick's defaults."""
    require: tuple[str, ...] = ()
    """What the host must have, in the words of a plan's `require`."""


_NOTHING = Asked()


def read(item: pytest.Item) -> Asked:
    """Return what the markers of a test ask for: the closest plan, and all requirements.

    Raises:
        pytest.UsageError: a marker cannot be understood; the message names the test.
    """
    marks = list(item.iter_markers("losttick"))
    if not marks:
        return _NOTHING
    plans, required = [], []
    for mark in marks:
        unknown = [repr(arg) for arg in mark.args]
        unknown += [name for name in mark.kwargs if name not in ("plan", "require")]
        if unknown:
            raise _misuse(item, f"it does not take {', '.join(unknown)}")
        if (plan := mark.kwargs.get("plan")) is not None:
            plans.append(_plan(item, plan))
        required += _required(item, mark.kwargs.get("require"))
    return Asked(plans[0] if plans else None, tuple(dict.fromkeys(required)))


def check(items: Iterable[pytest.Item]) -> None:
    """Check the markers of all tests.

    Raises:
        pytest.UsageError: some cannot be understood; the message names the tests.
    """
    wrong = []
    for item in items:
        try:
            read(item)
        except pytest.UsageError as error:
            wrong.append(str(error))
    if wrong:
        raise pytest.UsageError("\n".join(wrong))


def _plan(item: pytest.Item, plan: object) -> str:
    from orchestrator.plan.names import shipped_plans
    from orchestrator.process.existence import is_file

    if not isinstance(plan, str | os.PathLike):
        raise _misuse(item, f"plan={plan!r} is no name and no path")
    found, known = seen_from(item, plan), shipped_plans()
    if found not in known and not is_file(Path(found)):
        names = ", ".join(known)
        raise _misuse(item, f"there is no plan {str(plan)!r}: no file {found}, and none of {names}")
    return found


def seen_from(item: pytest.Item, plan: str | os.PathLike[str]) -> str:
    """Return the name of a shipped plan, or the path of a file seen from a test's folder."""
    from orchestrator.plan.names import shipped_plans

    name = os.fspath(plan)
    return name if name in shipped_plans() else str(item.path.parent / name)


def _required(item: pytest.Item, require: object) -> list[str]:
    from orchestrator.plan.choices import Requirement

    if require is None:
        return []
    names = [require] if isinstance(require, str) else require
    if not isinstance(names, Iterable) or not all(isinstance(name, str) for name in names):
        raise _misuse(item, f"require={require!r} is no name and no list of names")
    for name in names:
        if name not in set(Requirement):
            known = ", ".join(Requirement)
            raise _misuse(item, f"nothing called {name!r} can be required, only {known}")
    return [str(name) for name in names]


def _misuse(item: pytest.Item, seen: str) -> pytest.UsageError:
    return pytest.UsageError(f"{item.nodeid}: the marker losttick: {seen}. {_USAGE}.")
