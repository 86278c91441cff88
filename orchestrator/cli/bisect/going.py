"""A bisection on the command line: what it will take, its progress, and its answer."""

from collections.abc import Callable
from pathlib import Path

from orchestrator.bisect.engine import Bisection, Progress, bits_left, expected_left_s
from orchestrator.bisect.log import LOG
from orchestrator.bisect.steps import Ending, Step, next_step
from orchestrator.bisect.tester import Tester
from orchestrator.bisect.words import called
from orchestrator.cli.bisect.question import Question, tester_of
from orchestrator.cli.live import Show
from orchestrator.cli.out import out_folder
from orchestrator.cli.service import service
from orchestrator.cli.text import duration
from orchestrator.process.background import in_thread
from orchestrator.process.folder import disk_of


async def begin(question: Question, out: Path | None, *, shared: bool) -> tuple[Path, Bisection]:
    """Begin a bisection and test until there is an answer; return its folder, too.

    Raises:
        LosttickError: the options are no question, or the host failed.
    """
    question.check()
    with Show(question.rules.confidence) as show, out_folder(out, shared=shared) as folder:
        history = await in_thread(question.history)
        own = question.settings()
        tester = await tester_of(own, history, folder, show, question.qemu_user)
        try:
            bisection = Bisection.begin(
                folder, history, question.rules, {**tester.settings, **own}, shared=shared
            )
            await _go_on(bisection, tester, folder, show)
        finally:
            await tester.close()
    return folder, bisection


async def resume(
    folder: Path, parent_rate: float | None, qemu_user: str | None, *, shared: bool
) -> Bisection:
    """Go on with the bisection of a folder.

    Raises:
        LosttickError: its log can't be used, or the host failed.
    """
    bisection = Bisection.resume(folder, shared=shared)
    state = bisection.state
    try:
        with Show(state.rules.confidence) as show:
            tester = await tester_of(state.settings, state.history, folder, show, qemu_user)
            try:
                bisection.check_settings(tester.settings)
                if parent_rate is not None:
                    bisection.ask_for_parent(parent_rate)
                await _go_on(bisection, tester, folder, show)
            finally:
                await tester.close()
    finally:
        bisection.close()
    return bisection


async def _go_on(bisection: Bisection, tester: Tester, folder: Path, show: Show) -> None:
    """Test until there is an answer; the log is closed then."""
    try:
        for name, signature in bisection.state.kernels():
            tester.tested_before(name, signature)
        _preview(bisection, tester, folder, show.say)
        with show.bar("bisecting") as progress:
            first = bits_left(bisection.belief())

            def on_step(step: Progress) -> None:
                said = _said(step)
                show.say(said)
                service().status(said)
                done = max(0.0, 1 - bits_left(step.belief) / first) if first else 1.0
                progress(int(100 * done), 100)

            await bisection.run(tester, on_step)
    except BaseException:
        show.say(f"The log so far is good. Go on with `losttick bisect --resume {folder}`.")
        raise
    finally:
        bisection.close()


def _preview(
    bisection: Bisection, tester: Tester, folder: Path, say: Callable[[str], None]
) -> None:
    """Say what will be done, and the time and room for it."""
    state = bisection.state
    count, belief = len(state.history), bisection.belief()
    candidates = state.history.candidates
    step = next_step(belief, state.boots, lambda c: tester.cost(candidates[c]))
    if isinstance(step, Ending):
        return
    needs = tester.needs(count)
    free = disk_of(folder).free_bytes
    say(
        f"{count} candidates, from {called(candidates[0])} to {called(candidates[-1])}. "
        f"{' '.join(needs.words)}"
    )
    left = expected_left_s(belief, step, tester.cost(candidates[step.candidate]))
    say(
        f"It takes about {duration(left)} and up to {max(needs.disk_bytes / 1e9, 0.1):.1f} GB; "
        f"{free / 1e9:.1f} GB are free in {folder}. The log: {folder / LOG}"
    )


def _said(progress: Progress) -> str:
    """Return the line about a test that is about to begin."""
    step: Step = progress.step
    return (
        f"test {len(progress.state.records) + 1} ({step.phase}): {called(progress.candidate)}, up "
        f"to {step.loads} loads; the culprit is one of {progress.remaining} with 95 %; about "
        f"{duration(progress.left_s)} left"
    )
