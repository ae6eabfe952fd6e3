"""
What verifiers of older kernels refuse, found on any kernel.

Until Linux 6.8 or so a loop's head may be reached again by a jump only: where the compiler lays out
a loop so that its last instruction *falls through* into its first, the program is refused
("back-edge from insn 3075 to 3076").  `unlikely` on the condition to go round makes it a jump.
"""

from __future__ import annotations

import json
from unittest import mock

import pytest

from lbctl.switching import program
from tests.support.progrun import ALL, Switch
from tests.system.kernels import compiler

SETS = [("nat",), ("dsr",), ("nat", "ipv6"), ("nat", "dsr", "any_port"), ALL]
WIDE, JUMP, JUMP32, ALWAYS, CALL, EXIT = 0x18, 5, 6, 0x00, 0x80, 0x90


class _Ordered(Exception):
    """Carries what would have been compiled."""


def _order(features):
    def note(_pin, macros, function=program.FUNCTION, source="switch.c", also=None):
        text = program.paste(program.sources(), source)
        named = {name: "" if name.endswith("PINS") else value for name, value in macros.items()}
        functions = [*(also or {}), function]
        raise _Ordered(json.dumps({"text": text, "macros": named, "functions": functions}))

    with mock.patch.object(program, "compile_program", note), pytest.raises(_Ordered) as ordered:
        Switch(features)
    return str(ordered.value)


def _next(code, place):
    """The instructions that may follow one, and whether older kernels let it be a way back."""
    operation, offset = code[place][0], int.from_bytes(code[place][2:4], "little", signed=True)
    kind, what = operation & 7, operation & 0xF0
    if operation == WIDE:
        return [(place + 2, False)]
    if kind not in (JUMP, JUMP32) or what == CALL:
        return [(place + 1, False)]
    if what == EXIT:
        return []
    ways = [(place + offset + 1, True)]
    return ways if kind == JUMP and what == ALWAYS else [(place + 1, True), *ways]


def falling_back(text):
    """Pairs of instructions of which the first falls back to the second; depth first, as there."""
    code = [text[i : i + 8] for i in range(0, len(text), 8)]
    seen, done, found = {0}, set(), []
    stack = [(0, iter(_next(code, 0)))]
    while stack:
        place, ways = stack[-1]
        for there, allowed in ways:
            if there not in seen:
                seen.add(there)
                stack.append((there, iter(_next(code, there))))
                break
            if there not in done and not allowed:
                found.append((place, there))
        else:
            done.add(place)
            stack.pop()
    return found


@pytest.mark.parametrize("features", SETS, ids=" ".join)
def test_no_loop_falls_back_to_its_head(features):
    """
    In no function of the program.
    """
    made = json.loads(compiler._child(_order(features)))

    assert {name: [] for name in made} == {
        name: falling_back(bytes.fromhex(function["code"])) for name, function in made.items()
    }
