"""
The compiler: compiles for guests on the host, because the emulator takes 80 times as long for it.

A guest leaves an order in the folder that it shares with the host, and waits for the answer: the
instructions of each function, with tables named instead of numbered.  It loads them itself, so
that its own kernel's verifier judges.  The program is the one that lbctl would have compiled there,
by the same code and with the same macros.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from lbctl.shared import syscall
from lbctl.switching import pins, program

if TYPE_CHECKING:
    from collections.abc import Iterator

ORDER, ANSWER = ".order", ".answer"
BPFFS = Path("/sys/fs/bpf")
OF_A_TABLE = 0x18, 1  # the instruction that loads an address, and what marks it as a table's
LOOK_SECONDS = 0.1


class Compiler:
    """Answers orders; what was compiled once is kept for the guests to come."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    @contextmanager
    def serving(self, folder: Path) -> Iterator[None]:
        """Answer the orders in *folder* meanwhile."""
        over = threading.Event()
        server = threading.Thread(target=self._serve, args=(folder, over))
        server.start()
        try:
            yield
        finally:
            over.set()
            server.join()

    def _serve(self, folder: Path, over: threading.Event) -> None:
        while not over.wait(LOOK_SECONDS):
            for order in folder.glob(f"*{ORDER}"):
                text = order.read_text(encoding="utf-8")
                order.unlink()
                if text not in self._known:
                    self._known[text] = _child(text)
                write(order.with_suffix(ANSWER), self._known[text])


def write(path: Path, text: str) -> None:
    """Write a file that is seen whole or not at all."""
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def _child(order: str) -> str:
    """The answer to one order; a mistake in C can end the process that compiles it."""
    done = subprocess.run(
        [sys.executable, "-m", __name__],
        input=order,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    return done.stdout if not done.returncode else json.dumps({"error": done.stderr})


def _compile(order: dict[str, Any]) -> dict[str, Any]:
    """In the child: the functions of a source, each with its instructions and its tables."""
    macros, found = dict(order["macros"]), {}
    with tempfile.TemporaryDirectory() as made, _pin_folders(macros) as folders:
        source = Path(made, "source.c")
        source.write_text(order["text"], encoding="utf-8")

        def note(made: Any, function: str) -> int:
            found[function] = _named(made.dump_func(function), folders)
            return -1

        pinning = mock.patch.object(program.syscall, "pin")
        with mock.patch.object(program, "_load", note), pinning:
            program._build(
                {
                    "source": str(source),
                    "macros": macros,
                    "pins": dict.fromkeys(order["functions"], f"{made}/none"),
                    "parent": os.getppid(),
                }
            )
    return found


@contextmanager
def _pin_folders(macros: dict[str, Any]) -> Iterator[dict[str, Path]]:
    """Folders of our own for tables that the program names by their pins."""
    BPFFS.mkdir(exist_ok=True)
    base = Path(tempfile.mkdtemp(prefix="lbctl-compile-", dir=BPFFS))
    names = [name for name in macros if name.endswith("PINS")]
    folders = {name: base / name for name in names}
    for name, folder in folders.items():
        folder.mkdir()
        macros[name] = f'"{folder}"'
    try:
        yield folders
    finally:
        for path in base.glob("*/*"):
            path.unlink()
        pins.remove(base)


def _named(code: bytes, folders: dict[str, Path]) -> dict[str, Any]:
    """The instructions, and at which of them a table is meant: [macro of the folder, name]."""
    known = {}
    for macro, folder in folders.items():
        for path in folder.iterdir():
            descriptor = syscall.get(path)
            known[_identity(descriptor)] = [macro, path.name]
            os.close(descriptor)
    tables = {}
    for place in range(0, len(code), 8):
        if (code[place], code[place + 1] >> 4) == OF_A_TABLE:
            descriptor = int.from_bytes(code[place + 4 : place + 8], "little")
            tables[place] = known[_identity(descriptor)]
    return {"code": code.hex(), "tables": tables}


def _identity(descriptor: int) -> int:
    """The kernel's number of a map."""
    told = Path(f"/proc/self/fdinfo/{descriptor}").read_text(encoding="ascii")
    return int(told.split("map_id:")[1].split()[0])


if __name__ == "__main__":
    json.dump(_compile(json.load(sys.stdin)), sys.stdout)
