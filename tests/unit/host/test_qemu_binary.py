from orchestrator.host.qemu_binary import _transports


def test_transports_are_read_from_the_schema() -> None:
    schema: list[dict[str, object]] = [
        {"name": "migrate", "meta-type": "command", "arg-type": "150"},
        {"name": "7", "meta-type": "enum", "values": ["file", "pty", "socket"]},
        {"name": "799", "meta-type": "enum", "values": ["socket", "exec", "rdma", "file"]},
    ]
    assert _transports(schema) == {"socket", "exec", "rdma", "file"}
    assert _transports(schema[:2]) == set()
