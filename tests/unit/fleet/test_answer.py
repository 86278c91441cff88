"""One answer from many hosts: a bad host, a bad kernel, both, and what can't be told."""

import pytest

from orchestrator.fleet.answer import CellAnswer, FleetAnswer, Where, answer
from orchestrator.results.comparison.compare import Answer
from tests.support.made_fleets import Rates, fleet, made

HOSTS = [f"h{number}" for number in range(1, 12)]
KERNELS = ("old", "new")


def answered(rates: Rates, **how: object) -> FleetAnswer:
    return answer(fleet(rates, hosts=HOSTS, **how), KERNELS)  # type: ignore[arg-type]  # passed on


def only(found: FleetAnswer) -> CellAnswer:
    (cell,) = found.cells
    return cell


def test_a_bad_host_among_ten_good_ones_blames_no_kernel() -> None:
    """The bad host ran the new kernel six times as long."""
    found = answered(
        lambda host, kernel: 0.6 if host == "h4" else 0.0,
        loads=lambda host, kernel: 600 if (host, kernel) == ("h4", "new") else 100,
    )
    assert only(found).answer in (Answer.CANT_TELL, Answer.SAME)
    assert not only(found).worse_on
    (bad,) = found.bad
    assert (bad.host, bad.kernels, bad.under_all) == ("h4", KERNELS, True)
    assert bad.others_lost == 0 < bad.lost


def test_a_bad_kernel_is_worse_on_all_hosts_and_no_host_is_bad() -> None:
    found = answered(lambda host, kernel: 0.08 if kernel == "new" else 0.0)
    assert (only(found).answer, only(found).where) == (Answer.WORSE, Where.ALL)
    assert only(found).differ > 0.05
    assert not found.bad
    back = answer(
        fleet(lambda host, kernel: 0.08 if kernel == "new" else 0.0, hosts=HOSTS), KERNELS[::-1]
    )
    assert (only(back).answer, only(back).where) == (Answer.BETTER, Where.ALL)


def test_a_bad_host_beside_a_bad_kernel() -> None:
    found = answered(lambda host, kernel: 0.5 if host == "h4" else 0.08 * (kernel == "new"))
    assert only(found).answer is Answer.WORSE
    assert [bad.host for bad in found.bad] == ["h4"]
    assert found.bad[0].under_all


def test_a_kernel_that_is_bad_on_one_host_only() -> None:
    found = answered(
        lambda host, kernel: 0.3 * (host == "h4" and kernel == "new"),
        loads=lambda host, kernel: 1000,
    )
    cell = only(found)
    assert (cell.answer, cell.where, cell.worse_on) == (Answer.WORSE, Where.NAMED, ("h4",))
    assert cell.elsewhere is Answer.SAME
    (bad,) = found.bad
    assert (bad.host, bad.kernels, bad.under_all) == ("h4", ("new",), False)


def test_worse_on_one_host_and_too_few_loads_on_the_others() -> None:
    found = answered(
        lambda host, kernel: 0.5 * (host == "h4" and kernel == "new"), rule_out=0.0001
    )  # fmt: skip
    assert only(found).worse_on == ("h4",)
    assert only(found).elsewhere is Answer.CANT_TELL


def test_worse_on_one_host_and_better_on_another() -> None:
    found = answered(
        lambda host, kernel: 0.4 * ((host, kernel) in (("h1", "new"), ("h2", "old"))),
        loads=lambda host, kernel: 200,
    )
    cell = only(found)
    assert (cell.answer, cell.where) == (Answer.WORSE, Where.NAMED)
    assert (cell.worse_on, cell.better_on) == (("h1",), ("h2",))


def test_hosts_that_tell_nothing_alone_tell_it_together() -> None:
    """Each host has one save under each kernel."""
    tested = [
        made(host, kernel, [(3, 1)] if kernel == "new" else [(20, 0)])
        for host in HOSTS
        for kernel in KERNELS
    ]
    cell = only(answer(tested, KERNELS))
    assert (cell.answer, cell.where) == (Answer.WORSE, Where.ALL)
    assert cell.own == {}


def test_what_one_host_tells_is_not_said_of_all() -> None:
    """Nine hosts without a loss and one that loses in each save of the new kernel."""
    tested = [
        made(host, kernel, [(1, 1)] * 12 if (host, kernel) == ("h1", "new") else [(25, 0)] * 12)
        for host in HOSTS
        for kernel in KERNELS
    ]
    cell = only(answer(tested, KERNELS))
    assert (cell.where, cell.worse_on) == (Where.NAMED, ("h1",))


def test_kernels_that_are_the_same() -> None:
    cell = only(answered(lambda host, kernel: 0.0, loads=lambda host, kernel: 100))
    assert cell.answer is Answer.SAME
    assert cell.whole
    assert cell.whole.over_loads.within < 0.003  # 1,100 loads of each, without a loss


def test_what_more_loads_would_tell() -> None:
    cell = only(answered(lambda host, kernel: 0.0, loads=lambda host, kernel: 4))
    assert cell.answer is Answer.CANT_TELL
    assert cell.more_loads
    assert 80 < cell.more_loads < 200


@pytest.mark.parametrize("losing", ["h1", "h2"])
def test_a_host_with_one_kernel_contributes_nothing_and_is_named(losing: str) -> None:
    """It loses every load; and so does one whose controls were not seen."""
    tested = [made(host, kernel, [(25, 0)] * 8) for host in HOSTS[2:] for kernel in KERNELS]
    tested += [made("h1", "new", [(1, 1)] * 25)]
    tested += [made("h2", kernel, [(1, 1)] * 25, blind="it had no control") for kernel in KERNELS]
    cell = only(answer(tested, KERNELS))
    assert cell.answer is Answer.SAME
    assert losing not in cell.hosts
    assert cell.left_out["h1"] == "tested with new only"
    assert "it had no control" in cell.left_out["h2"]


def test_nothing_can_be_compared() -> None:
    cell = only(answer([made("h1", "new", [(1, 1)] * 25), made("h2", "old", [(25, 0)])], KERNELS))
    assert (cell.answer, cell.whole, cell.loads) == (Answer.CANT_TELL, None, (0, 0))


def test_each_kernel_is_compared_with_the_first() -> None:
    found = answer(
        fleet(
            lambda host, kernel: 0.2 * (kernel == "c"), hosts=HOSTS, kernels=("a", "b", "c"),
            cells=("x", "y"),
        ),
        ("a", "b", "c"),
    )  # fmt: skip
    said = {(cell.second, cell.cell): cell.answer for cell in found.cells}
    assert said == {
        ("b", "x"): Answer.SAME, ("b", "y"): Answer.SAME,
        ("c", "x"): Answer.WORSE, ("c", "y"): Answer.WORSE,
    }  # fmt: skip
