"""What two arms differ in, and what may be named as a cause."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.results.comparison.arm import ArmCell

#: The facts that change with the kernel alone.
_KERNEL = ("kernel", "kernel build", "KVM modules")

_PARAMETERS = "KVM parameters"


@dataclass(frozen=True, slots=True)
class Differing:
    """The facts in which the hosts of two runs differ."""

    facts: Mapping[str, tuple[str, str]]
    """The values of both, by name."""

    @property
    def kinds(self) -> Sequence[str]:
        """What differs, with all facts of a kernel as one."""
        return list(dict.fromkeys("kernel" if n in _KERNEL else n for n in self.facts))

    @property
    def cause(self) -> str:
        """What may be named as the cause of a difference, in a sentence."""
        kinds = self.kinds
        if not kinds:
            return "No fact that losttick knows of the hosts differs, so none is the cause."
        if len(kinds) == 1:
            return f"Of the facts that losttick knows, only the {kinds[0]} differs."
        named = ", ".join(kinds[:-1]) + f" and {kinds[-1]}"
        return (
            f"The {named} differ, so this comparison does not show which of them is the cause. "
            "Compare runs that differ in one of them."
        )


def differing(pairs: Sequence[tuple[ArmCell, ArmCell]]) -> Differing:
    """Return what the hosts of equal cells differ in."""
    found: dict[str, dict[tuple[str, str], None]] = {}
    for first, second in pairs:
        for name in dict.fromkeys([*first.facts, *second.facts]):
            one, other = first.facts.get(name, ""), second.facts.get(name, "")
            if name == _PARAMETERS:
                one, other = _in_both(one, other)
            if one != other:
                pair = (one or "not known", other or "not known")
                found.setdefault(name, {})[pair] = None
    return Differing({name: _joined(list(values)) for name, values in found.items()})


def _joined(values: Sequence[tuple[str, str]]) -> tuple[str, str]:
    one, other = (list(dict.fromkeys(each)) for each in zip(*values, strict=True))
    return ", ".join(one), ", ".join(other)


def _in_both(one: str, other: str) -> tuple[str, str]:
    """Return the parameters that both kernels know and whose values differ.

    Which parameters there are depends on the kernel.
    """
    values = [dict(each.partition("=")[::2] for each in text.split()) for text in (one, other)]
    names = [n for n in values[0] if n in values[1] and values[0][n] != values[1][n]]
    first, second = (" ".join(f"{name}={each[name]}" for name in names) for each in values)
    return first, second
