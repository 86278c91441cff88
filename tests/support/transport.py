"""A transport for a protocol of asyncio that a test calls itself."""

import asyncio


class Transport(asyncio.Transport):
    """Sends nothing, and notes whether it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True
