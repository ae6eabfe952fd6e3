"""
The generator of lbctl/shared/abi.py: reads lb/abi.h with libclang, writes numpy types and enums.

`make abi` runs it; a test fails when its output is not what is committed.  The typedef's name
carries the byte order, the comment before a verdict is its documentation.
"""

from __future__ import annotations

import sys
from pathlib import Path

from clang.cindex import Cursor, CursorKind, Index, TranslationUnit, Type, TypeKind

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent / "lbctl" / "shared" / "abi.py"
TYPES = "".join(
    f"typedef unsigned {kind} __{sign}{bits};\n"
    for kind, bits in (("char", 8), ("short", 16), ("int", 32), ("long long", 64))
    for sign in ("u", "be")
)
HEAD = '''\
"""Generated from bpf_src/lb/abi.h by `make abi`.  Do not edit."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
'''


def parse(folder: Path = HERE) -> Cursor:
    """Parse abi.h as the BPF target sees it; a syntax error ends the program."""
    text = TYPES + '#include "lb/abi.h"\n'
    unit = Index.create().parse(
        "abi.c",
        args=["-target", "bpf", "-fparse-all-comments", f"-I{folder}"],
        unsaved_files=[("abi.c", text)],
        options=TranslationUnit.PARSE_DETAILED_PROCESSING_RECORD,
    )
    if errors := [str(d) for d in unit.diagnostics if d.severity >= d.Error]:
        raise SystemExit("\n".join(errors))
    return unit.cursor


def numpy_format(kind: Type) -> str:
    """Spell one C type as a numpy format."""
    if kind.kind is TypeKind.CONSTANTARRAY:
        element = kind.get_array_element_type()
        if element.get_canonical().kind is TypeKind.RECORD:
            return f"({constant_name(element.get_declaration())}, ({kind.element_count},))"
        return repr(f"({kind.element_count},)" + numpy_format(element).strip("'\""))
    if kind.kind is TypeKind.ELABORATED:
        kind = kind.get_named_type()
    if kind.kind is not TypeKind.TYPEDEF or not kind.spelling.startswith("__"):
        raise SystemExit(f"abi: {kind.spelling} has no numpy form; keep contract structs flat")
    order = ">" if kind.spelling.startswith("__be") else "<"
    return repr(f"{order}u{kind.get_size()}")


def constant_name(cursor: Cursor) -> str:
    """``struct lb_next_hop`` is NEXT_HOP."""
    return str(cursor.spelling).removeprefix("lb_").upper()


def render_struct(cursor: Cursor) -> str:
    """One numpy dtype with explicit offsets."""
    fields = list(cursor.type.get_fields())
    rows = {
        "names": "[" + ", ".join(repr(f.spelling) for f in fields) + "]",
        "formats": "[" + ", ".join(numpy_format(f.type) for f in fields) + "]",
        "offsets": str([f.get_field_offsetof() // 8 for f in fields]),
        "itemsize": str(cursor.type.get_size()),
    }
    body = "".join(f'    "{key}": {value},\n' for key, value in rows.items())
    return f"{constant_name(cursor)} = np.dtype({{\n{body}}})"


def common_prefix(names: list[str]) -> str:
    """The longest prefix of all names that ends in an underscore."""
    first, last = min(names), max(names)
    same = 0
    while same < len(first) and first[same] == last[same]:
        same += 1
    return first[: first.rfind("_", 0, same) + 1]


def comment(cursor: Cursor) -> str:
    """The comment that stands before a declaration, as one line."""
    lines = (cursor.raw_comment or "").removeprefix("/*").removesuffix("*/").splitlines()
    return " ".join(line.strip(" \t*") for line in lines).strip()


def render_enum(cursor: Cursor) -> str:
    """One IntEnum; the constants of ``enum lb_abi`` are plain numbers."""
    members = [c for c in cursor.get_children() if c.kind is CursorKind.ENUM_CONSTANT_DECL]
    if cursor.spelling == "lb_abi":
        return "\n".join(f"{m.spelling.removeprefix('LB_')} = {m.enum_value}" for m in members)
    prefix = common_prefix([m.spelling for m in members])
    name = cursor.spelling.removeprefix("lb_").title().replace("_", "")
    rows = [f"    {m.spelling.removeprefix(prefix)} = {m.enum_value}" for m in members]
    text = f'class {name}(IntEnum):\n    """``enum {cursor.spelling}``."""\n\n' + "\n".join(rows)
    if cursor.spelling == "lb_verdict":
        notes = "".join(
            f"    Verdict.{m.spelling.removeprefix(prefix)}: {comment(m)!r},\n"
            for m in members
            if comment(m) and m is not members[-1]
        )
        text += f"\n\n\nVERDICT_NOTES = {{\n{notes}}}"
    return text


def render(root: Cursor) -> str:
    """The whole of abi.py."""
    parts = [HEAD]
    for cursor in root.get_children():
        if not str(cursor.spelling).startswith("lb_"):
            continue
        if cursor.kind is CursorKind.ENUM_DECL:
            gap = "\n" if cursor.spelling == "lb_abi" else "\n\n"
            parts.append(gap + render_enum(cursor) + gap)
        elif cursor.kind is CursorKind.STRUCT_DECL:
            parts.append("\n" + render_struct(cursor) + "\n")
    return "".join(parts).rstrip() + "\n"


if __name__ == "__main__":
    output = render(parse())
    if "--check" in sys.argv:
        sys.exit(0 if TARGET.read_text() == output else f"{TARGET.name} is stale; run `make abi`")
    TARGET.write_text(output)
