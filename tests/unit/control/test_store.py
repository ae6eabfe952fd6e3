"""The store keeps what was committed, and nothing else."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest

from lbctl.control import store as store_module
from lbctl.control.store import Store
from lbctl.errors import LbctlError, NotFound
from tests.unit.control.fakes import configured, web

NEW = configured(pools=[web(1, 2)])


def record(store: Store, configuration=NEW, what: str = "apply") -> int:
    """Record one more generation, and return its number."""
    with store.record(configuration, who="root", what=what) as number:
        return number


def test_a_new_store_holds_generation_0_which_is_empty(store):
    """What a switch does that nobody ever told anything."""
    assert (store.current.number, store.current.configuration) == (0, configured())


def test_a_recorded_generation_is_current_and_survives_closing(store):
    """The same content comes back, with who did what."""
    assert record(store) == 1
    store.close()

    again = Store(store.path.parent)

    assert again.current.configuration == NEW
    assert [(n, who, what) for n, _, who, what in again.history()] == [
        (1, "root", "apply"),
        (0, "lbctld", "new, empty"),
    ]
    again.close()


def test_a_failed_block_leaves_no_trace(store):
    """Publishing failed, so there is no such generation, and its number is free again."""
    with pytest.raises(RuntimeError), store.record(NEW, who="root", what="apply"):
        raise RuntimeError

    assert store.current.number == 0
    assert record(store) == 1


def test_numbers_grow_and_only_the_last_are_kept(store, monkeypatch):
    """Pruning takes the oldest; a pruned generation is not found."""
    monkeypatch.setattr(store_module, "KEPT", 3)
    for _ in range(5):
        record(store)

    assert [row[0] for row in store.history()] == [5, 4, 3]
    with pytest.raises(NotFound, match="generation 2 is not kept; see `lbctl generations`"):
        store.generation(2)


def test_what_is_written_survives_power_loss(store):
    """Write-ahead log, and every commit reaches the disk."""
    mode, synchronous = (
        store._db.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous")
    )

    assert (mode, synchronous) == ("wal", 2)


def test_others_may_not_read_the_state(store):
    """The folder is the owner's."""
    assert store.path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda path: path.write_bytes(b"not a database at all" * 99), "is damaged"),
        (lambda path: overwrite(path, 4096), "is damaged"),
        (lambda path: execute(path, "PRAGMA user_version = 99"), "schema 99, this one reads 1"),
        (lambda path: execute(path, "PRAGMA application_id = 7"), "not a database of lbctl"),
        (lambda path: execute(path, "UPDATE generations SET configuration = '{}x'"), "generation"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_clear_line(store, spoil, text):
    """It names the file and says what to do; nothing is overwritten."""
    for _ in range(20):
        record(store)
    store.close()
    spoil(store.path)
    before = store.path.read_bytes()

    with pytest.raises(LbctlError, match=text) as caught, closing(Store(store.path.parent)) as bad:
        _ = bad.current

    assert str(store.path) in str(caught.value)
    assert "\n" not in str(caught.value)
    assert store.path.read_bytes() == before


def test_a_full_disk_is_an_error_and_changes_nothing(store):
    """SQLite rolls back; the store can go on afterwards."""
    pages = store._db.execute("PRAGMA page_count").fetchone()[0]
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    big = configured(pools=[web(*[1] * 200)])

    with pytest.raises(LbctlError, match="full; nothing was changed"):
        record(store, big)

    assert store.current.number == 0
    store._db.execute("PRAGMA max_page_count = 100000")
    assert record(store, big) == 1


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path):
    """The system's own words, and which path."""
    (tmp_path / "state").write_text("")

    with pytest.raises(LbctlError, match="state: File exists"):
        Store(tmp_path / "state")


def execute(path, statement: str) -> None:
    """Change the database behind the store's back."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(statement)


def overwrite(path, start: int) -> None:
    """Spoil a page of a file."""
    with path.open("r+b") as file:
        file.seek(start)
        file.write(b"\xff" * 4096)
