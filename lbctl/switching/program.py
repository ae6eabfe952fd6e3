"""
The program: paste the sources, specialise, compile, load and pin them.

Nothing else imports bcc.  It runs in a child process, ``python -m lbctl.switching.program``,
because LLVM takes 120 MiB and a mistake in the C can end the process inside it: `compile_program`
starts the child and turns whatever happens there into one error.
"""

from __future__ import annotations

import json
import logging
import os
import re
import struct
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lbctl.errors import LbctlError
from lbctl.shared import syscall

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger(__name__)

FUNCTION, FORGET = "lb_switch", "lb_forget"
_COMPILE_SECONDS = 120
# A checksum reads as 16-bit words what was written as fields: that is aliasing, and meant.
_LANGUAGE = ("-O2", "-fno-strict-aliasing")


def sources() -> Path:
    """The folder bpf_src: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "_bpf_src"
    return installed if installed.is_dir() else package.parent / "bpf_src"


def paste(folder: Path, name: str, done: set[str] | None = None) -> str:
    """
    Make one text of a source and the headers it includes, each once.

    BCC rewrites accesses to tables in its main text only.  ``#line`` keeps the real file names in
    the messages of compiler and verifier.
    """
    done = set() if done is None else done
    lines = [f'#line 1 "{name}"']
    for number, line in enumerate((folder / name).read_text().splitlines(), start=1):
        match = re.fullmatch(r'#include "([^"]+)"', line.strip())
        if not match:
            lines.append(line)
        elif match[1] not in done:
            done.add(match[1])
            lines += [paste(folder, match[1], done), f'#line {number + 1} "{name}"']
    return "\n".join(lines)


def essence(source: str = "switch.c") -> str:
    """All that shapes a program besides its macros: sources and options of the compiler."""
    return "\n".join((paste(sources(), source), *_LANGUAGE))


def compile_program(
    pin: Path,
    macros: Mapping[str, int | str],
    function: str = FUNCTION,
    source: str = "switch.c",
    also: Mapping[str, Path] | None = None,
) -> syscall.ProgramInfo:
    """
    Compile *source* with *macros*, load *function* and pin it as *pin*.

    *also*: further functions of the same source, and their pins.
    Raises LbctlError with the last words of compiler or verifier.
    """
    pins = {name: str(path) for name, path in {**(also or {}), function: pin}.items()}
    order = {"source": source, "pins": pins, "macros": dict(macros), "parent": os.getpid()}
    try:
        child = subprocess.run(
            [sys.executable, "-P", "-m", "lbctl.switching.program"],
            input=json.dumps(order),
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_COMPILE_SECONDS,
            check=False,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
    except subprocess.TimeoutExpired as error:
        raise LbctlError(f"{source}: compiling took more than {_COMPILE_SECONDS} s") from error
    if child.returncode:
        last = [line for line in child.stderr.splitlines() if line.strip()][-8:]
        log.debug("%s: what compiler and verifier said:\n%s", source, child.stderr)
        raise LbctlError(
            f"{source}: the switching processor could not be built "
            f"({last[-1].strip() if last else f'signal {-child.returncode}'}); "
            f"run `lbctld --log-level debug` for the whole output"
        )
    fd = syscall.get(pin)
    try:
        return syscall.prog_info(fd)
    finally:
        os.close(fd)


def _build(order: dict[str, Any]) -> None:
    """In the child: compile, load, pin.  Not without the parent, who may have begun anew."""
    syscall.die_with_parent()
    if os.getppid() != order["parent"]:
        raise SystemExit("the daemon is gone")
    with tempfile.TemporaryDirectory(prefix="lbctl-headers-") as tree:
        from lbctl.switching import headers  # noqa: PLC0415

        headers.write(Path(tree))
        os.environ["BCC_KERNEL_SOURCE"] = tree
        try:
            from bcc import BPF  # noqa: PLC0415
        except ImportError as error:
            raise SystemExit(
                f"bcc is missing ({error}): apt install python3-bpfcc, and make the venv "
                f"with --system-site-packages"
            ) from error

        flags = [f"-D{name}={value}" for name, value in order["macros"].items()]
        program = BPF(
            text=paste(sources(), order["source"]),
            cflags=["-Wno-macro-redefined", "-Wno-unused-value", *_LANGUAGE, *flags],
        )
        for function, pin in order["pins"].items():
            Path(pin).unlink(missing_ok=True)
            syscall.pin(_load(program, function), Path(pin))


@cache
def takes_fragments() -> bool:
    """
    Whether the kernel gives frames of several buffers to programs that ask for it (Linux 5.18).

    All programs of an instance must ask alike, for a devmap is for one kind only.
    """
    leave = struct.pack("=BBhiBBhi", 0xB7, 0, 0, syscall.PASS, 0x95, 0, 0, 0)
    try:
        os.close(syscall.prog_load(leave, "lb_probe", flags=syscall.XDP_HAS_FRAGS))
    except OSError:
        return False
    return True


def _load(program: Any, function: str) -> int:  # noqa: ANN401 - of bcc
    """Load one function.  bcc cannot ask for fragments, but tells best what is wrong."""
    if takes_fragments():
        with suppress(OSError):
            code = program.dump_func(function)
            return syscall.prog_load(code, function, flags=syscall.XDP_HAS_FRAGS)
    return int(program.load_func(function, program.XDP).fd)


if __name__ == "__main__":
    _build(json.load(sys.stdin))
