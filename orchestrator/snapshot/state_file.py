"""Reads a saved state from the file into which QEMU has written it."""

from orchestrator.qmp.errors import AnswerError
from orchestrator.vm.instance import Instance


async def read_state_file(instance: Instance, command: str, name: str) -> bytes:
    """Return a file from QEMU's folder.

    Args:
        instance: the instance that has written it.
        command: the command that wrote it, for messages.
        name: of the file.

    Raises:
        FileNotFoundError: it is not there.
        AnswerError: it can't be read: QEMU, or a guest that has taken QEMU over, may have put
            anything in its place, and disks fail.
    """
    try:
        return await instance.process.read_file(name)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise AnswerError(
            command, f"its file {name} can't be read: {error.strerror or error}"
        ) from error
