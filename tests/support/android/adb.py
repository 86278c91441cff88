"""Stands in for adb: asks the stand-in for the emulator at the port beside its console's."""

import os
import socket
import sys
from pathlib import Path


def main() -> None:
    args = sys.argv[1:]
    if args == ["kill-server"]:
        with Path(os.environ["ANDROID_AVD_HOME"], "adb-killed").open("a") as marks:
            marks.write("killed\n")
        return
    if len(args) < 4 or args[0] != "-s" or args[2] != "shell":
        sys.exit(f"adb: unknown command {args}")
    port = int(args[1].removeprefix("emulator-")) + 1
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as stream:
            stream.sendall(" ".join(args[3:]).encode() + b"\n")
            stream.settimeout(600)
            while data := stream.recv(4096):
                sys.stdout.write(data.decode())
    except ConnectionError:
        sys.exit(f"adb: device '{args[1]}' not found")


if __name__ == "__main__":
    main()
