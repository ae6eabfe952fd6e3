"""
The remote compiler, seen from a guest: lbctl's own compile step, with the host doing the compiling.

As a pytest plugin (`-p tests.system.kernels.inside.remote`) it takes its place for a test run.
"""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import mock
from uuid import uuid4

from lbctl.errors import LbctlError
from lbctl.shared import syscall
from lbctl.switching import program
from tests.system.kernels.compiler import ANSWER, ORDER, write

if TYPE_CHECKING:
    from collections.abc import Mapping

SHARED = Path("/run/guest")
PATIENCE, LOOK_SECONDS = 100.0, 0.1
LOG_BYTES = 1 << 24
XDP, LOAD = 6, 5  # BPF_PROG_TYPE_XDP, BPF_PROG_LOAD

log = logging.getLogger(program.__name__)


def compile_program(
    pin: Path,
    macros: Mapping[str, int | str],
    function: str = program.FUNCTION,
    source: str = "switch.c",
    also: Mapping[str, Path] | None = None,
) -> syscall.ProgramInfo:
    """As `lbctl.switching.program.compile_program`."""
    functions = {**(also or {}), function: pin}
    made = _order(program.paste(program.sources(), source), macros, list(functions))
    said = made.get("error", "")
    try:
        for name, path in () if said else functions.items():
            descriptor = load(name, made[name], macros)
            path.unlink(missing_ok=True)
            syscall.pin(descriptor, path)
            os.close(descriptor)
    except OSError as error:
        said = "\n".join((*getattr(error, "__notes__", ()), f"{name}: {error.strerror}"))
    if said:
        with (SHARED / "refusals").open("a", encoding="utf-8") as file:
            file.write(f"{source} {' '.join(name for name in macros if 'WITH' in name)}\n{said}\n")
        log.debug("%s: what compiler and verifier said:\n%s", source, said)
        raise LbctlError(
            f"{source}: the switching processor could not be built "
            f"({_last(said)}); "
            f"run `lbctld --log-level debug` for the whole output"
        )
    descriptor = syscall.get(pin)
    try:
        return syscall.prog_info(descriptor)
    finally:
        os.close(descriptor)


def _last(said: str) -> str:
    """The line that says most: the verifier's complaint stands before its statistics."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    complaints = [line for line in lines if not line.startswith(("processed ", "verification "))]
    return ": ".join(reversed(complaints[-2:]))


def _order(text: str, macros: Mapping[str, int | str], functions: list[str]) -> dict:
    """Have the host compile; returns its answer."""
    # Pins are named by the host as it likes: so the same program is the same order.
    named = {name: "" if name.endswith("PINS") else value for name, value in macros.items()}
    order = SHARED / f"{uuid4().hex}{ORDER}"
    write(order, json.dumps({"text": text, "macros": named, "functions": functions}))
    answer, deadline = order.with_suffix(ANSWER), time.monotonic() + PATIENCE
    while not answer.exists():
        if time.monotonic() > deadline:
            raise LbctlError(f"{order}: the host does not answer (waited {PATIENCE:g} s)")
        time.sleep(LOOK_SECONDS)
    return json.loads(answer.read_text(encoding="utf-8"))


def load(name: str, made: Mapping, macros: Mapping[str, int | str]) -> int:
    """Load a function; OSError has the verifier's last words as its note."""
    code, opened = bytearray.fromhex(made["code"]), []
    for place, (macro, table) in made["tables"].items():
        descriptor = syscall.get(Path(str(macros[macro]).strip('"')) / table)
        opened.append(descriptor)
        at = int(place) + 4
        code[at : at + 4] = descriptor.to_bytes(4, "little")
    try:
        return _prog_load(bytes(code), name)
    except OSError as error:
        error.add_note(_verifier_log(bytes(code), name))
        raise
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _prog_load(code: bytes, name: str, log_buffer: object = None) -> int:
    """Load without a log, which costs time; or with one, to hear why not."""
    instructions = syscall.ctypes.create_string_buffer(code, len(code))
    terms = syscall.ctypes.create_string_buffer(b"GPL")
    size = len(log_buffer) if log_buffer else 0
    flags = syscall.XDP_HAS_FRAGS if program.takes_fragments() else 0
    return syscall._call(
        LOAD,
        "IIQQIIQII16s",
        *(XDP, len(code) // 8, syscall._address(instructions), syscall._address(terms)),
        *(1 if size else 0, size, syscall._address(log_buffer), 0, flags),
        name.encode()[:15],
        size=128,
    )[0]


def _verifier_log(code: bytes, name: str) -> str:
    """Why the verifier refuses a program: the end of what it says."""
    buffer = syscall.ctypes.create_string_buffer(LOG_BYTES)
    try:
        os.close(_prog_load(code, name, buffer))
    except OSError:
        return buffer.value.decode(errors="replace")[-4000:]
    return ""


def pytest_configure() -> None:
    """Have all tests compile on the host."""
    mock.patch.object(program, "compile_program", compile_program).start()
