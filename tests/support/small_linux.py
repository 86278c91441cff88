"""A git repository that builds as Linux does, in a second: make's targets, and what they leave."""

from pathlib import Path

from orchestrator.lab.kernel.options import AUTO_CONF
from tests.support.git import commit, repository
from tests.support.trees import CONFIG, NEEDS, RELEASE, bzimage

#: As in newer kernels, texts have no quotes in auto.conf.
#: `make allnoconfig`, `olddefconfig`, `bzImage` and a module. `images` gets a line for each image.
MAKEFILE = f"""\
configured = mkdir -p $(O)/include/config && sed 's/"//g' $(O)/.config >$(O)/{AUTO_CONF}
allnoconfig:
\tcp config $(O)/.config && $(configured)
olddefconfig:
\t$(configured)
bzImage:
\t@echo '  CC      kernel/core.o' && gcc -c -o $(O)/core.o kernel/core.c
\tmkdir -p $(O)/arch/x86/boot && cp image $(O)/arch/x86/boot/bzImage && echo >>$(O)/images
%.ko:
\tmkdir -p $(O)/$(dir $@) && gcc -c -o $(O)/$@ $(@:.ko=.c)
"""


def module_source(needs: str, more: str = "") -> str:
    """Return a module's source: its description, and more."""
    fields = f"\\0license=GPL\\0depends={needs}\\0vermagic={RELEASE} SMP \\0"
    return f'const char about[] __attribute__((section(".modinfo"))) = "{fields}";\n{more}\n'


def small_linux(place: Path, **config: str | None) -> Path:
    """Make the repository, with one commit.

    Args:
        place: its folder.
        config: other values of `CONFIG`; None unsets an option.
    """
    options = {name: value for name, value in {**CONFIG, **config}.items() if value}
    files = {
        "Makefile": MAKEFILE,
        "config": "".join(f"{name}={value}\n" for name, value in options.items())
        + 'CONFIG_LOCALVERSION="-x"\n',
        "kernel/core.c": "int core;\n",
        **{path.replace(".ko", ".c"): module_source(needs) for path, needs in NEEDS.items()},
    }
    for path, text in files.items():
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_text(text)
    (place / "arch/x86/boot").mkdir(parents=True)
    (place / "arch/x86/boot/Makefile").write_text("")
    (place / "image").write_bytes(bzimage(RELEASE))
    repository(place)
    commit(place, "first")
    return place
