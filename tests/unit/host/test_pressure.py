from orchestrator.host import pressure


def test_pressure_is_read_as_the_kernel_prints_it() -> None:
    text = "some avg10=12.50 avg60=3.00 avg300=1.00 total=42\nfull avg10=1.00 avg60=0 avg300=0\n"
    assert pressure.percent(text) == 12.5
    assert pressure.percent("") is None
