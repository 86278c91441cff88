"""A tester whose candidates lose at known rates; nothing is built or booted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from orchestrator.bisect.candidate import Candidate
from orchestrator.bisect.tester import Cost, Needs, Same, Stage, Tested, Untestable
from tests.support.simulated_bisections import COST, losing


@dataclass(slots=True)
class SimulatedTester:
    """A tester of candidates by their names."""

    rates: Mapping[str, float]
    broken: Mapping[str, Stage] = field(default_factory=dict)
    signatures: Mapping[str, str] = field(default_factory=dict)
    seed: int = 1
    settings: Mapping[str, str] = field(default_factory=lambda: {"plan": "simulated"})
    tested: list[str] = field(default_factory=list)
    closed: bool = False

    def needs(self, candidates: int) -> Needs:
        return Needs(candidates << 20, ("Nothing is built or booted.",))

    def cost(self, candidate: Candidate) -> Cost:
        return COST

    def tested_before(self, name: str, signature: str) -> None:
        self.tested.append(name)

    async def test(
        self, candidate: Candidate, loads: int, losses: int = 1
    ) -> Tested | Untestable | Same:
        name = candidate.name
        signature = self.signatures.get(name, "")
        known = {self.signatures.get(each) for each in self.tested if each != name}
        first = name not in self.tested
        self.tested.append(name)
        if stage := self.broken.get(name):
            return Untestable(f"{name} fails", 60.0, stage)
        if signature and first and signature in known:
            return Same(signature, 60.0)
        rng = np.random.default_rng([self.seed, len(self.tested)])
        done, lost = losing(rng, self.rates[name], loads, losses)
        return Tested(done, lost, 180.0 + 4 * done, f"result-{len(self.tested)}", signature)

    async def close(self) -> None:
        self.closed = True


def rates(candidates: Sequence[Candidate], culprit: int, rate: float) -> dict[str, float]:
    """Return the rates of a list of which one and all after it lose."""
    return {each.name: rate * (index >= culprit) for index, each in enumerate(candidates)}
