from orchestrator.results.summary import spread


def test_spread() -> None:
    assert spread([]) is None
    assert spread([float(n) for n in range(1000)]) == {"median": 499.5, "p99": 989.0}
    assert spread([4.0]) == {"median": 4.0, "p99": 4.0}
