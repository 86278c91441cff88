"""The verdict of a cell: the finding of the first rule that applies.

Each rule is a function of the case in a module of its own, and so is each note. A rule
decides the verdict. A note adds a sentence to it, whatever the verdict is.
"""

from orchestrator.verdict.anomalies import anomalous
from orchestrator.verdict.bound import bound_too_high, clean
from orchestrator.verdict.case import Case, Note, Rule
from orchestrator.verdict.early_end import ended_early, ending_note
from orchestrator.verdict.enlightened import enlightened_note
from orchestrator.verdict.expired import expired_note, posted_note
from orchestrator.verdict.fixed_tick_rule import first_ticks_fixed, fixed_tick_note
from orchestrator.verdict.known_bug import affected
from orchestrator.verdict.late import late_note, too_few_pairs
from orchestrator.verdict.mixed import indistinct_note, mixed_note
from orchestrator.verdict.observer import (
    control_not_restored,
    control_note,
    controls_not_seen,
    loaded_guests_not_saved,
    too_many_unknown,
)
from orchestrator.verdict.period_rule import period_changed, period_note
from orchestrator.verdict.required import apicv_missing, required_note
from orchestrator.verdict.ruled_out import ruled_out_rates
from orchestrator.verdict.unloaded import stopped_without_load, unloaded_note
from orchestrator.verdict.verdict import Verdict
from orchestrator.verdict.went_down import went_down_note
from orchestrator.verdict.witness import contradicted, direct_note

#: The rules, in the order in which they are asked. The last one always applies.
RULES: tuple[Rule, ...] = (
    contradicted, affected, anomalous, period_changed, first_ticks_fixed, apicv_missing,
    too_many_unknown, ended_early, stopped_without_load, loaded_guests_not_saved, controls_not_seen,
    control_not_restored, too_few_pairs, bound_too_high, clean,
)  # fmt: skip

#: The notes, in the order in which they are printed.
NOTES: tuple[Note, ...] = (
    required_note, period_note, fixed_tick_note, direct_note, mixed_note, indistinct_note,
    late_note, expired_note, posted_note, enlightened_note, control_note, unloaded_note,
    went_down_note, ending_note,
)  # fmt: skip


def decide(case: Case) -> tuple[Verdict, str]:
    """Return the verdict and its reason.

    The reason says what was counted, which loss rates this rules out, how many loads would
    rule out a tenth of the rate, and what else must be known of the case.
    """
    found = next(finding for rule in RULES if (finding := rule(case)))
    why = found.why
    if found.says_rates:
        why += f"; {ruled_out_rates(case, trusted=found.trusted)}"
    notes = [note for each in NOTES if (note := each(case, found))]
    return found.verdict, ". ".join([why, *found.notes, *notes])
