"""XDP programs of a few instructions, by hand: what to compare with, and what to end in."""

from __future__ import annotations

import struct

from lbctl.shared import syscall
from lbctl.switching import program

# opcodes: <linux/bpf.h>
_MOVE, _MOVE_REGISTER, _ADD, _ADD_REGISTER = 0xB7, 0xBF, 0x07, 0x0F
_LOAD64, _LOAD32_MEMORY, _STORE32, _ATOMIC64 = 0x18, 0x61, 0x62, 0xDB
_JUMP_GREATER_REGISTER, _JUMP_ZERO, _CALL, _EXIT = 0x2D, 0x15, 0x85, 0x95
_LOOKUP, _REDIRECT_MAP, _ADJUST_TAIL = 1, 51, 65
_MAP_FD = 1  # pseudo source register of a map's descriptor


def _instruction(code: int, to: int = 0, of: int = 0, offset: int = 0, value: int = 0) -> bytes:
    return struct.pack("=BBhi", code, of << 4 | to, offset, value)


def _map(register: int, descriptor: int) -> bytes:
    return _instruction(_LOAD64, register, _MAP_FD, 0, descriptor) + _instruction(0)


def _loaded(code: bytes, name: str) -> int:
    """Load it of the same kind as the switch's programs: tables of programs are for one only."""
    flags = syscall.XDP_HAS_FRAGS if program.takes_fragments() else 0
    return syscall.prog_load(code, name, flags=flags)


def floor(cut: int = 0) -> int:
    """Load the program to compare with: transmits, and before that cuts *cut* bytes off."""
    trim = _instruction(_MOVE, 2, value=-cut) + _instruction(_CALL, value=_ADJUST_TAIL)
    code = (trim if cut else b"") + _instruction(_MOVE, 0, value=syscall.TX) + _instruction(_EXIT)
    return _loaded(code, "floor")


def redirect(exits: int, key: int, macs: bytes) -> int:
    """
    Load the program that looks at nothing: new MACs, and out by entry *key* of a devmap.

    *macs*: destination and source, as in the frame.
    """
    words = struct.unpack("=iii", macs)
    stores = b"".join(_instruction(_STORE32, 2, 0, 4 * i, word) for i, word in enumerate(words))
    body = stores + _map(1, exits) + _instruction(_MOVE, 2, value=key)
    body += _instruction(_MOVE, 3) + _instruction(_CALL, value=_REDIRECT_MAP) + _instruction(_EXIT)
    head = _instruction(_LOAD32_MEMORY, 2, 1, 0) + _instruction(_LOAD32_MEMORY, 3, 1, 4)
    head += _instruction(_MOVE_REGISTER, 4, 2) + _instruction(_ADD, 4, value=14)
    head += _instruction(_JUMP_GREATER_REGISTER, 4, 3, len(body) // 8)
    passed = _instruction(_MOVE, 0, value=syscall.PASS) + _instruction(_EXIT)
    return _loaded(head + body + passed, "redirect")


def sink(counter: int) -> int:
    """Load the program that drops all packets, and counts them in element 0 of a u64 array."""
    code = _instruction(_STORE32, 10, 0, -4, 0)
    code += _map(1, counter) + _instruction(_MOVE_REGISTER, 2, 10) + _instruction(_ADD, 2, value=-4)
    code += _instruction(_CALL, value=_LOOKUP) + _instruction(_JUMP_ZERO, 0, 0, 2)
    code += _instruction(_MOVE, 1, value=1) + _instruction(_ATOMIC64, 0, 1)
    code += _instruction(_MOVE, 0, value=syscall.DROP) + _instruction(_EXIT)
    return syscall.prog_load(code, "sink")
