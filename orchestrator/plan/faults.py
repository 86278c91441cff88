"""The faults of a plan as a person reads them, each with its place."""

from collections.abc import Sequence

from pydantic import ValidationError

from orchestrator.errors import InputError
from orchestrator.plan.axes import Axes
from orchestrator.plan.fault_words import MOST_FAULTS as MOST_FAULTS
from orchestrator.plan.fault_words import Wording, fault_sentences
from orchestrator.plan.goals import Goals
from orchestrator.plan.plan import Plan

#: Source of a plan that was made from command-line options alone.
COMMAND_LINE = "command line"

#: Settings whose command-line option has another name.
_OPTIONS = {
    "period_ms": "period",
    "memory_mib": "memory",
    "resume": "resume_by",
    "qemu_args": "qemu_arg",
    "limits": "rule_out",
}

_WORDING = Wording(
    "plan",
    [*Plan.model_fields, *Goals.model_fields, *Axes.model_fields],
    "[axes], [[exclude]], [[include]] and [limits], and outside of them seed, require, "
    "accept_skips and controls",
)


class PlanError(InputError):
    """A plan can't be used. The message lists its faults, each with its place."""

    def __init__(self, source: str, faults: Sequence[str]) -> None:
        """Build the message.

        Args:
            source: name of the plan.
            faults: a sentence for each fault.
        """
        self.faults = tuple(faults)
        shown = "\n".join(f"  {fault}" for fault in faults)
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        what = source if source == COMMAND_LINE else f"plan {source}"
        super().__init__(f"reading the {what}: {count}\n{shown}")


def plan_error(source: str, error: ValidationError, text: str) -> PlanError:
    """Return the error of a plan that its model refused.

    Args:
        source: name of the plan.
        error: what the model found.
        text: the TOML text of the plan, used to find line numbers; empty if there is none.
    """
    option = _option if source == COMMAND_LINE else None
    return PlanError(source, fault_sentences(error, text, _WORDING, option))


def _option(setting: str) -> str:
    """Return the option that stands for a setting."""
    return "--" + _OPTIONS.get(setting, setting).replace("_", "-")
