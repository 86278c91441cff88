"""Tells whether a load did the same to the TSCs of all vCPUs: restored them, or let them go on."""

import enum


class Answer(enum.Enum):
    """The load certainly did this to a TSC."""

    RESTORED = "restored"
    WENT_ON = "went on"


class TscAnswers:
    """Compares what the latest load did to the TSCs of an instance, where only one answer fits."""

    def __init__(self) -> None:
        self._resumed_ns = 0
        self._given: dict[int, Answer] = {}

    def other_than(self, vcpu: int, answer: Answer, resumed_ns: int) -> int | None:
        """Hear the answer of a vCPU. Return a vCPU with the other answer; None if there is none.

        Args:
            vcpu: the vCPU.
            answer: what the load did to its TSC.
            resumed_ns: when the instance resumed after the load, which tells loads apart.
        """
        if resumed_ns != self._resumed_ns:
            self._resumed_ns = resumed_ns
            self._given = {}
        self._given[vcpu] = answer
        return next((each for each, said in self._given.items() if said is not answer), None)
