from orchestrator.bugs.hyperv import enlightenments, ticks_by_stimer
from orchestrator.timers.registry import TIMERS


def test_the_features_that_are_enlightenments_and_are_on() -> None:
    cpu = (
        "qemu64,-x2apic,+avx,hv_time,+hv-synic,hv-spinlocks=0x1fff,hv-vpindex=on,"
        "hv-vapic=off,hv-stimer=false,hv_runtime=no"
    )
    assert enlightenments(cpu) == ("hv-time", "hv-synic", "hv-spinlocks", "hv-vpindex")
    assert enlightenments("hv-vapic") == ()  # a model of this name


def test_one_timer_is_the_one_of_windows_guests() -> None:
    assert [name for name in (*TIMERS.names, None) if ticks_by_stimer(name)] == ["hv-stimer"]
