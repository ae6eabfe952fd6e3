"""
The pins: the names in bpffs under which tables, programs and links outlive the daemon.

    /sys/fs/bpf/lbctl/NAME/
    ├── tables/        one file a table
    ├── programs/      the program in use: FEATURES_DIGEST, so that it is known without compiling
    ├── forget         the program by which the control processor forgets connections
    ├── explain/       tables and program of `lbctl explain`: see explain.py
    ├── capture/       while somebody captures: the tables and the program for it
    └── links/         one file a NIC, by its ifindex

A new instance is built in a folder beside it and renamed once: it is there whole, or not at all.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from lbctl.errors import LbctlError
from lbctl.shared import tables

if TYPE_CHECKING:
    from pathlib import Path

FOLDERS = ("tables", "programs", "links")
FORGET = "forget"
EXPLAIN = "explain"
CAPTURE = "capture"
CONTENT = (*FOLDERS, FORGET, f"{FORGET}_new", EXPLAIN, CAPTURE)


def open_tables(folder: Path, capacity: tables.Capacity) -> tables.Tables:
    """Take over the tables pinned in *folder*, or make them."""
    if folder.is_dir():
        return tables.take_over(folder / "tables", capacity)
    building = folder.with_name(folder.name + "_new")
    shutil.rmtree(building, ignore_errors=True)
    try:
        for name in FOLDERS:
            (building / name).mkdir(parents=True)
        made = tables.create(building / "tables", capacity)
        building.rename(folder)
    except OSError as error:
        shutil.rmtree(building, ignore_errors=True)
        raise LbctlError(
            f"{folder}: cannot make the tables: {error.strerror}; is bpffs mounted on /sys/fs/bpf, "
            f"and is there enough memory?"
        ) from error
    return made


def remove(folder: Path) -> None:
    """Remove all pins of an instance; what nothing else holds, the kernel frees."""
    shutil.rmtree(folder, ignore_errors=True)
