"""A bare loop of blocking sockets: the same commands and console reads as a trial.

A program of its own, so that it shares nothing with what it is compared to. It
starts QEMU, saves once, and then runs blocks of loads, one for each line on its
standard input; it answers with the block's seconds.
"""

import json
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LINE = re.compile(rb"T0 [^\n]*\n")


def main() -> None:
    argv, loads, period_s = json.loads(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    files = {name: Path(path) for name, path in json.loads(sys.argv[4]).items()}
    monitor, monitor_theirs = socket.socketpair()
    console, console_theirs = socket.socketpair()
    console_theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * 1024 * 1024)
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        for name, path in files.items():
            (Path(folder) / name).write_bytes(path.read_bytes())
        qemu = subprocess.Popen(
            [argv[0], "-chardev", f"socket,id=qmp,fd={monitor_theirs.fileno()}",
             "-chardev", f"socket,id=console0,fd={console_theirs.fileno()}", *argv[1:]],
            cwd=folder, pass_fds=(monitor_theirs.fileno(), console_theirs.fileno()),
        )  # fmt: skip
        try:
            serve(monitor, console, loads, period_s)
        finally:
            qemu.kill()
            qemu.wait()


def serve(monitor: socket.socket, console: socket.socket, loads: int, period_s: float) -> None:
    replies = monitor.makefile("rb")
    replies.readline()

    def execute(command: str, **arguments: str) -> object:
        monitor.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        while True:
            reply = json.loads(replies.readline())
            if "return" in reply:
                return reply["return"]

    def hmp(line: str) -> None:
        execute("human-monitor-command", **{"command-line": line})

    def lines(count: int) -> None:
        text = b""
        while len(LINE.findall(text)) < count:
            text += console.recv(65536)

    execute("qmp_capabilities")
    lines(5)
    time.sleep(period_s / 2)
    execute("stop")
    hmp("savevm bench")
    print("ready", flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        for _ in range(loads):
            execute("stop")
            hmp("loadvm bench")
            console.setblocking(False)
            try:
                while console.recv(65536):
                    pass
            except BlockingIOError:
                console.setblocking(True)
            execute("cont")
            lines(2)
        print(time.perf_counter() - began, flush=True)
        execute("stop")


main()
