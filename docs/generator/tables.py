"""The page of the tables: shared memory byte by byte, from the code that makes it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from generator import layouts, text
from generator.owners import OWNERS, PER_CPU, Owner
from lbctl.shared import abi, syscall
from lbctl.shared.tables import Capacity, possible_cpus, specifications

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    Comments = Mapping[str, Mapping[str, str]]

INTRO = """\
Shared memory is a handful of BPF maps, pinned under `/sys/fs/bpf/lbctl/NAME/tables/` by the names
below. The control processor makes them, before any program exists. Arrays are mapped into its
memory and are numpy arrays there; for the switching processors a look-up in one is a bounds check
and an addition. `bpftool map dump pinned /sys/fs/bpf/lbctl/default/tables/next_hops` shows one from
outside.

Byte order is in the type: `be32` is network order, `u32` the machine's. An address has 128 bits;
IPv4 is mapped, `::ffff:a.b.c.d`. There is no hidden padding."""

SIZES = """\
Sizes come from the [options of lbctld](lbctld.md#room-in-the-tables) and stay while the tables
live:

- **D**, places of the directory: the power of two above 4 x (`--services` + `--backends`);
- **G**, groups of the directory: D / 4;
- **L**, lines of slots: `--slots` / 32, rounded up;
- **S**, sets of connections: the power of two that holds 2 x `--connections` / 4, at least 16;
- **CPUs**: all that the machine may ever have (`/sys/devices/system/cpu/possible`).

What is doubled has buffer A in its first half and buffer B in its second: see
[publish](../design/publish.md)."""

PRIVATE = """\
Three programs have tables of their own, in folders beside `tables/`. `forget` frees entries of the
connection table; it is handed up to 128 `lb_forgotten` in the place of a packet. `explain` has
`traces`, an `lb_trace` for each stage, and, instead of all connections, copies of two sets.
`capture`, there only while somebody captures, has `filter` (one `lb_filter`), `marked` (which
services and back-ends are wanted), `rooms` (where a packet is put together, for each CPU) and
`captures` (a ring buffer of `lb_captured` and the bytes that follow)."""

KINDS = {
    syscall.ARRAY: "array, mapped",
    syscall.LPM_TRIE: "LPM trie",
    syscall.DEVMAP: "devmap",
    syscall.XSKMAP: "XSKMAP",
}
VALUES = {
    "displacements": "`u64`",
    "routes": "`u32`: index of a next hop",
    "exits": "`u32`",
    "apps": "`u32`: a socket",
}
INNER = {"lb_connection_set": ("lb_connection",), "lb_control": ("lb_hash_keys",)}
SHOWN_ELSEWHERE = {"lb_verdict": "verdicts.md"}
MIB, KIB = 1 << 20, 1 << 10


def _check() -> None:
    """What the page says of the sizes is what the code makes, with these sizes and with others."""
    for capacity in (Capacity(), Capacity(9, 50, 700, 3000, 77, 88, 5)):
        made = {name: spec.info.entries for name, spec in specifications(capacity).items()}
        said = {name: owner.entries(capacity.macros()) for name, owner in OWNERS.items()}
        if made != said:
            raise SystemExit(f"owners: the tables are {made}, the page would say {said}")


def _bytes(size: int) -> str:
    if size >= MIB:
        return f"{size / MIB:.1f} MiB"
    return f"{size / KIB:.1f} KiB" if size >= KIB else f"{size} bytes"


def _memory(name: str, owner: Owner) -> str:
    """How much memory a table takes with the usual sizes; what is kept for each CPU, by CPU."""
    spec = specifications(Capacity())[name].info
    if spec.kind == syscall.LPM_TRIE:
        return "as many as there are"
    size = spec.entries * spec.value_size
    if owner.size.startswith(PER_CPU):
        return f"{_bytes(size // possible_cpus())} a CPU"
    return _bytes(size)


def _value(name: str) -> str:
    """The type of a table's values."""
    if name in VALUES:
        return VALUES[name]
    if name == "rules":
        return text.code("lb_run")
    element = specifications(Capacity())[name].element
    struct = next(each for each, dtype in layouts.structs().items() if dtype == element)
    return text.code(struct)


def _overview() -> str:
    """All tables at a glance."""
    rows = []
    for name, owner in OWNERS.items():
        kind = KINDS[specifications(Capacity())[name].info.kind]
        rows.append((f"[{name}](#{name})", kind, _value(name), owner.size, _memory(name, owner)))
    return text.table(("Table", "Kind", "Value", "Entries", "Memory by default"), rows)


def _one(name: str, owner: Owner, said: Comments, left: dict[str, np.dtype[Any]]) -> str:
    """What one table is for, whose it is, and the structs that no table before it has had."""
    lines = [
        f"- Key: {owner.key}",
        f"- Value: {_value(name)}",
        f"- Written by: {owner.writes}",
        f"- Read by: {owner.reads}",
    ]
    named = re.findall(r"lb_\w+", f"{owner.key} {_value(name)}")
    inner = [struct for each in named for struct in INNER.get(each, ())]
    structs = [_struct(struct, left.pop(struct), said) for struct in [*named, *inner]]
    return text.join(f"### {name}", text.safe(owner.purpose), "\n".join(lines), *structs)


def _struct(name: str, dtype: np.dtype[Any], said: Comments) -> str:
    words = said[name.removeprefix("lb_")]
    table = layouts.struct_table(dtype, words)
    return text.join(f"#### {name}", f"{dtype.itemsize} bytes.", table)


def _enumerations(said: Comments) -> list[str]:
    parts = []
    for name, kind in layouts.enumerations():
        if name in SHOWN_ELSEWHERE:
            parts += [f"### {name}", f"See [verdicts]({SHOWN_ELSEWHERE[name]})."]
        else:
            words = said[name.removeprefix("lb_")]
            parts += [f"### {name}", layouts.enumeration_table(kind, words)]
    return parts


def page() -> str:
    """The whole page."""
    _check()
    said, left = layouts.comments(), layouts.structs()
    shown = [_one(name, owner, said, left) for name, owner in OWNERS.items()]
    layout = f"The layout has the number {abi.ABI_VERSION}; a daemon refuses tables of another."
    return text.join(
        "# Tables",
        INTRO,
        layout,
        "## Sizes",
        SIZES,
        _overview(),
        "## The tables one by one",
        *shown,
        "## Tables of other programs",
        PRIVATE,
        *(_struct(name, dtype, said) for name, dtype in left.items()),
        "## Enumerations",
        *_enumerations(said),
    )
