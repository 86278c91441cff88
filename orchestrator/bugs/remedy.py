"""Steps that the owner of a computer can take against a known bug."""

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.bugs.known_bug import KnownBug

#: Starts an emulated phone without its snapshot.
COLD_BOOT = "emulator -avd NAME -no-snapshot-load"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do: in words for a person who does not know the hardware, and by commands."""

    what: str
    commands: tuple[str, ...] = ()


#: Frees a virtual machine that has frozen, and keeps others from it.
WITHOUT_SNAPSHOT = Step(
    "At once: end a virtual machine that has frozen, and start it without its snapshot. It "
    "stays frozen however long you wait, but its disk is safe, and the snapshot itself is not "
    "damaged: it can be loaded again once the cause is gone. For the Android Emulator, this is a "
    "cold boot:",
    (COLD_BOOT,),
)


#: Ends a bug of the kernel for good.
NEWER_KERNEL = Step(
    "Install the newest kernel of your distribution, and restart the computer. This ends the "
    "problem for good if that kernel has the fix. On Debian and Ubuntu:",
    ("sudo apt update", "sudo apt full-upgrade", "sudo reboot"),
)

#: Tells whether a remedy has worked.
TEST_AGAIN = Step("Then test again:", ("losttick run",))

#: Tells whether a rare freeze is the known bug.
MORE_LOADS = Step(
    "Close other programs, and test again with more loads. This takes some minutes:",
    ("losttick run --trials 3000",),
)


def switched_off(bug: KnownBug) -> Sequence[Step]:
    """Return the steps that avoid a bug by a parameter of the module that has it.

    The parameter of a module can be set only when the module is loaded, and the module can be
    removed only while no virtual machine runs.
    """
    module, parameter = bug.needs.module, bug.needs.parameter
    if module is None or parameter is None:
        return ()
    file = f"/etc/modprobe.d/losttick-{module}.conf"
    return (
        Step(
            "If there is no newer kernel, switch off the feature of the CPU that the kernel "
            "handles wrongly. Virtual machines become a little slower by this. First stop all "
            "virtual machines and emulators, because the first command fails while one runs:",
            (f"sudo modprobe -r {module}", f"sudo modprobe {module} {parameter}=0"),
        ),
        Step(
            "This lasts until the computer is restarted. To keep it:",
            (f"echo 'options {module} {parameter}=0' | sudo tee {file}",),
        ),
        Step(
            "To undo it later, when the computer has a newer kernel:",
            (f"sudo rm {file}", f"sudo modprobe -r {module}", f"sudo modprobe {module}"),
        ),
        Step(
            "This prints N or 0 while the feature is off:",
            (f"cat /sys/module/{module}/parameters/{parameter}",),
        ),
    )


#: Other causes freeze a virtual machine after a load, or make it look frozen.
OTHER_CAUSES = (
    Step(
        "Try a cold boot first. If the virtual machine starts well by it, the snapshot was the "
        "trouble; a new snapshot then replaces it:",
        (COLD_BOOT,),
    ),
    Step(
        "The snapshot may come from another computer, from another version of the emulator, or "
        "from before a change of the graphics card, its driver or the emulator's graphics "
        "setting. Such a snapshot can fail to load, or hang. Delete it, and take a new one."
    ),
    Step(
        "After a load, adb may list the device as offline for up to a minute although it runs. "
        "Wait, and connect again:",
        ("adb kill-server", "adb devices"),
    ),
    Step(
        "A very busy computer, or one that is short of memory, makes a virtual machine seem "
        "frozen. Look whether it moves again after some minutes."
    ),
)
