"""The layouts: structs and enumerations of the contract; offsets of abi.py, words of abi.h."""

from __future__ import annotations

import re
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from generator import text
from lbctl.shared import abi

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HEADERS = Path(__file__).resolve().parents[2] / "bpf_src" / "lb"
DECLARATION = re.compile(r"^(?:struct|enum) lb_(\w+) \{(.*?)^\};", re.MULTILINE | re.DOTALL)
MEMBER = re.compile(
    r"^\t(?:\w+(?: \w+)? )?(\w+)(?:\[\w+\])?(?: = \w+)?[;,][ \t]*(?:/\*(.*?)\*/)?", re.MULTILINE
)


def comments() -> dict[str, dict[str, str]]:
    """What the headers say beside each member, by struct or enumeration and member."""
    found: dict[str, dict[str, str]] = {}
    for header in ("abi.h", "inspection.h"):
        for match in DECLARATION.finditer((HEADERS / header).read_text(encoding="utf-8")):
            members = MEMBER.finditer(match[2])
            found[match[1]] = {m[1]: " ".join((m[2] or "").split()) for m in members}
    return found


def structs() -> dict[str, np.dtype[Any]]:
    """All structs of the contract, by the name that the C sources give them, in their order."""
    found = vars(abi).items()
    return {f"lb_{n.lower()}": dtype for n, dtype in found if isinstance(dtype, np.dtype)}


def c_type(dtype: np.dtype[Any]) -> str:
    """A type as the header spells it: `be32[4]`, `u16`, `lb_connection[4]`."""
    base, shape = dtype.subdtype or (dtype, ())
    if base.names:
        name = next(name for name, struct in structs().items() if struct == base)
    else:
        order = "be" if base.byteorder == ">" else "u"
        name = f"{order}{8 * base.itemsize}"
    return name + "".join(f"[{size}]" for size in shape)


def struct_table(dtype: np.dtype[Any], said: Mapping[str, str]) -> str:
    """The members of a struct with their place in it."""
    rows = []
    for member, (kind, offset, *_) in (dtype.fields or {}).items():
        words = text.safe(said.get(member, ""))
        rows.append(
            (str(offset), str(kind.itemsize), text.code(c_type(kind)), text.code(member), words)
        )
    return text.table(("Offset", "Bytes", "Type", "Member", "Meaning"), rows)


def enumerations() -> Iterator[tuple[str, type[IntEnum]]]:
    """All enumerations, by the name that the C sources give them."""
    for name, kind in vars(abi).items():
        if isinstance(kind, type) and issubclass(kind, IntEnum) and kind is not IntEnum:
            yield "lb_" + re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower(), kind


def enumeration_table(kind: type[IntEnum], said: Mapping[str, str]) -> str:
    """The values of an enumeration; the header's longer names are found by their end."""
    rows = []
    for member in kind:
        words = next((w for name, w in said.items() if name.endswith(f"_{member.name}")), "")
        rows.append((str(member.value), text.code(member.name), text.safe(words)))
    return text.table(("Value", "Name", "Meaning"), rows)
