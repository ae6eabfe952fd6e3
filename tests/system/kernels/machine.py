"""
The machine: boots a kernel on this machine's own root file system, and runs one command in it.

It is emulated in software: a processor that runs other kernels as guests is not taken for granted.
What the guest writes stays in its memory, but for a folder of results that both see.
"""

from __future__ import annotations

import lzma
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.system.kernels.archive import Kernel

CPUS, MEMORY = 2, 2048  # MiB
MODULES = ("virtio_pci", "9pnet_virtio", "9p", "overlay", "virtio_rng")  # until there is a root
INIT = Path(__file__).with_name("init.sh")
HELPER = '#!/bin/sh\nexec /bin/busybox chroot /new /sbin/modprobe "$@"\n'
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
KERNEL_WORDS = "console=ttyS0 quiet panic=-1 mitigations=off audit=0 apparmor=0 rdinit=/init"
QEMU = [
    *("nice", "-n", "10", "qemu-system-x86_64"),
    *("-machine", "q35", "-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max"),
    *("-smp", str(CPUS), "-m", str(MEMORY), "-nodefaults", "-no-user-config", "-no-reboot"),
    *("-display", "none", "-serial", "stdio", "-device", "virtio-rng-pci"),
]


class Ran(NamedTuple):
    """A guest that is over."""

    status: int | None  # of the command; None if it did not come to an end
    console: str  # what the guest showed


class Nics(NamedTuple):
    """What the emulator needs for them: a command that it is started by, and options."""

    within: Sequence[str]
    options: Sequence[str]


NO_NICS = Nics((), ())


@contextmanager
def folder() -> Iterator[Path]:
    """A folder for one guest: it and the host write there."""
    with tempfile.TemporaryDirectory(prefix="lbctl-guest-") as name:
        yield Path(name)


def run(
    kernel: Kernel,
    command: Sequence[str],
    results: Path,
    *,
    seconds: float,
    nics: Nics = NO_NICS,
) -> Ran:
    """
    Boot *kernel* and run *command* in the guest; for no longer than *seconds*.

    *results*: the guest's /run/guest.
    """
    with tempfile.TemporaryDirectory(prefix="lbctl-boot-") as made:
        initrd = _initrd(kernel, Path(made))
        places = f"release={kernel.release}\nmodules={shlex.quote(str(kernel.modules))}\n"
        (results / "places").write_text(places, encoding="utf-8")
        (results / "command").write_text(_script(command), encoding="utf-8")
        words = [
            *nics.within,
            *QEMU,
            *("-kernel", str(kernel.image), "-initrd", str(initrd), "-append", KERNEL_WORDS),
            *_share("root", "/", ",readonly=on,multidevs=remap"),
            *_share("guest", str(results)),
            *nics.options,
        ]
        console = _emulate(words, seconds)
    status = results / "status"
    text = status.read_text(encoding="utf-8").strip() if status.exists() else ""
    return Ran(int(text) if text else None, console)


def _emulate(words: list[str], seconds: float) -> str:
    """Run the emulator to its end, or end it; returns what the guest showed."""
    with subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as emulator:
        try:
            shown, _ = emulator.communicate(timeout=seconds)
        except BaseException as error:
            emulator.kill()
            shown, _ = emulator.communicate()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
    return shown.decode(errors="replace").replace("\r", "")


def _share(tag: str, path: str, more: str = "") -> list[str]:
    """Options that show a folder of the host to the guest."""
    return [
        *("-fsdev", f"local,id={tag},path={path},security_model=none{more}"),
        *("-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"),
    ]


def _script(command: Sequence[str]) -> str:
    """What the guest runs, in the folder that this runs in."""
    settings = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8"}
    exports = " ".join(f"{name}={shlex.quote(value)}" for name, value in settings.items())
    return f"export {exports}\ncd {shlex.quote(str(Path.cwd()))}\n{shlex.join(command)}\n"


def _initrd(kernel: Kernel, made: Path) -> Path:
    """The first root file system: a shell, the first process, and modules until there is more."""
    tree = made / "tree"
    for name in ("bin", "proc", "sys", "dev", "low", "layer", "new", "modules"):
        (tree / name).mkdir(parents=True)
    shutil.copy(shutil.which("busybox") or "busybox", tree / "bin" / "busybox")
    (tree / "bin" / "sh").symlink_to("busybox")
    (tree / "bin" / "helper").write_text(HELPER, encoding="utf-8")
    shutil.copy(INIT, tree / "init")
    for script in (tree / "init", tree / "bin" / "helper"):
        script.chmod(0o755)
    order = []
    for path in _needed(kernel):
        name = path.name.removesuffix(".xz")
        data = path.read_bytes()
        (tree / "modules" / name).write_bytes(lzma.decompress(data) if name != path.name else data)
        order.append(f"{name}\n")
    (tree / "modules" / "order").write_text("".join(order), encoding="utf-8")
    names = "".join(f"{path.relative_to(tree)}\n" for path in sorted(tree.rglob("*")))
    with (made / "initrd").open("wb") as file:
        pack = ["cpio", "--quiet", "-o", "-H", "newc"]
        subprocess.run(pack, cwd=tree, input=os.fsencode(names), stdout=file, check=True)
    return made / "initrd"


def _needed(kernel: Kernel) -> list[Path]:
    """The files of MODULES and of what they need, in the order of loading."""
    base, found = kernel.modules.parent.parent.parent, []
    for module in MODULES:
        done = subprocess.run(
            ["modprobe", "-d", str(base), "-S", kernel.release, "--show-depends", module],
            capture_output=True,
            text=True,
            check=True,
        )
        paths = re.findall(r"^insmod (\S+)", done.stdout, re.MULTILINE)  # else it is built in
        found += [Path(path) for path in paths if Path(path) not in found]
    return found
