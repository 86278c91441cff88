"""The guests that a plan can name."""

from orchestrator.guest.linux.guest import LinuxGuest
from orchestrator.guest.protocol import Guest
from orchestrator.guest.tick.guest import TickFirmware
from orchestrator.registry import Registry

#: The first is the default. A user's own guest is added with `GUESTS.add`.
GUESTS: Registry[Guest] = Registry("guest", [TickFirmware(), LinuxGuest()])
