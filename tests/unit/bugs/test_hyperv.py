from orchestrator.bugs.hyperv import enlightenments


def test_the_features_that_are_enlightenments_and_are_on() -> None:
    cpu = (
        "qemu64,-x2apic,+avx,hv_time,+hv-synic,hv-spinlocks=0x1fff,hv-vpindex=on,"
        "hv-vapic=off,hv-stimer=false,hv_runtime=no"
    )
    assert enlightenments(cpu) == ("hv-time", "hv-synic", "hv-spinlocks", "hv-vpindex")
    assert enlightenments("hv-vapic") == ()  # a model of this name
