"""
The generator of lbctl/shared/abi.py: reads lb/abi.h with libclang, writes numpy types and enums.

`make abi` runs it; a test fails when its output is not what is committed.  The typedef's name
carries the byte order, the comment before a verdict is its documentation: also that is written, as
docs/reference/verdicts.md.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from clang.cindex import Cursor, CursorKind, Index, TranslationUnit, Type, TypeKind

HERE = Path(__file__).resolve().parent
TARGET = HERE.parent / "lbctl" / "shared" / "abi.py"
PAGE = HERE.parent / "docs" / "reference" / "verdicts.md"
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


def comment(cursor: Cursor) -> list[str]:
    """The paragraphs of the comment that stands before a declaration, each as one line."""
    lines = (cursor.raw_comment or "").removeprefix("/*").removesuffix("*/").splitlines()
    text = "\n".join(line.strip(" \t*") for line in lines).strip()
    return [" ".join(part.split("\n")) for part in text.split("\n\n")]


def verdicts(root: Cursor) -> list[Cursor]:
    """The verdicts that a packet can have in the end."""
    enum = next(c for c in root.get_children() if c.spelling == "lb_verdict")
    return list(enum.get_children())[1:-1]


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
            f"    Verdict.{m.spelling.removeprefix(prefix)}: {comment(m)[0]!r},\n"
            for m in members[:-1]
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


PAGE_HEAD = """\
# Verdicts

Every packet that a switching processor sees ends with one of these. `lbctl stats` counts them by
NIC, and all but the usual ones by VIP and back-end as well; `lbctl drops` shows those that mean a
packet was discarded. `lbctl explain` tells which one a packet would get and why, `lbctl capture
--verdict NAME` shows packets that get it.

"""
KINDS = {
    "To their receivers": ("LB_TO_BACKEND", "LB_TO_CLIENT"),
    "To and from programs on the switch": ("LB_TO_PSEUDO", "LB_FROM_PSEUDO", "LB_TO_APP"),
    "To the kernel of the switch": ("LB_TO_KERNEL",),
    "Answered by the switch": ("LB_ECHO", "LB_RESET", "LB_TOO_BIG"),
    "Discarded": ("LB_DROP",),
}


def render_page(root: Cursor) -> str:
    """The page of the reference that has all verdicts, with cause and cure."""
    parts = [PAGE_HEAD]
    for kind, prefixes in KINDS.items():
        parts.append(f"## {kind}\n\n")
        for verdict in verdicts(root):
            if verdict.spelling.startswith(prefixes):
                paragraphs = "\n\n".join(
                    textwrap.fill(" ".join(text.split()), 100, break_on_hyphens=False)
                    for text in comment(verdict)
                )
                parts.append(f"### {verdict.spelling.removeprefix('LB_')}\n\n{paragraphs}\n\n")
    return (
        "<!-- Generated from bpf_src/lb/verdicts.h by `make abi`. -->\n"
        + "".join(parts).rstrip()
        + "\n"
    )


def main() -> None:
    """Write both files, or with --check tell which of them is stale."""
    root = parse()
    for path, text in {TARGET: render(root), PAGE: render_page(root)}.items():
        if "--check" not in sys.argv:
            path.write_text(text)
        elif not path.is_file() or path.read_text() != text:
            sys.exit(f"{path.name} is stale; run `make abi`")


if __name__ == "__main__":
    main()
