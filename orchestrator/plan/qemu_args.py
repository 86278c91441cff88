"""Further arguments for QEMU, as one value of an axis."""

import hashlib
import shlex
from dataclasses import dataclass
from typing import Any

from pydantic import GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from orchestrator.plan.plain_text import plain
from orchestrator.vm.own_options import split_args

#: Longest text. Linux takes arguments of at most 128 KiB.
LONGEST = 100_000


@dataclass(frozen=True, slots=True)
class QemuArgs:
    """Arguments that follow losttick's own on QEMU's command line.

    In a plan, one text that quotes the arguments as a shell does: `"-device virtio-rng-pci"`.
    """

    args: tuple[str, ...] = ()

    @classmethod
    def parse(cls, value: object) -> "QemuArgs":
        """Read the arguments from a plan or the command line.

        Raises:
            ValueError: the value is no text, or an argument is not allowed.
        """
        if isinstance(value, cls):
            return value
        if not isinstance(value, str):
            raise ValueError('arguments for QEMU are one text, such as "-device virtio-rng-pci"')
        if len(value) > LONGEST:
            raise ValueError(f"arguments for QEMU have at most {LONGEST:,} characters")
        return cls(tuple(map(plain, split_args(value))))

    @property
    def text(self) -> str:
        """The arguments, quoted as a shell needs them."""
        return shlex.join(self.args)

    def __str__(self) -> str:
        """Return the beginning of their SHA-256, by which cell ids name them."""
        return hashlib.sha256("\0".join(self.args).encode()).hexdigest()[:8]

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda args: args.text),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "string"}


NO_ARGS = QemuArgs()
