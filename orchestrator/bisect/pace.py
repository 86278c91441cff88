"""How long tests take, as the tests of a bisection have shown."""

from dataclasses import dataclass

from orchestrator.bisect.tester import Cost


@dataclass(slots=True)
class Pace:
    """The mean times for a start and for a load, beginning with a guess."""

    guess: Cost
    """What is expected until a test has been seen. It then counts as one test of some loads."""
    starts: int = 1
    loads: int = 10
    _start_s: float = 0.0
    _load_s: float = 0.0

    def add(self, start_s: float, loads: int, seconds: float) -> None:
        """Count a test.

        Args:
            start_s: time to build and boot.
            loads: loads that followed.
            seconds: time for all of it. Controls before and after the loads count as loads.
        """
        self.starts, self.loads = self.starts + 1, self.loads + loads
        self._start_s += start_s
        self._load_s += max(seconds - start_s, 0.0)

    @property
    def cost(self) -> Cost:
        """The expected time of a test."""
        start_s = self._start_s + self.guess.start_s
        load_s = self._load_s + self.guess.load_s * 10
        return Cost(start_s / self.starts, load_s / self.loads)
