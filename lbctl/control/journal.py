"""
The journal: every change of state with its reason, and the health that survives a restart.

One SQLite file beside the generations, but not in it: losing the journal loses no configuration, so
a crash of the machine may cost its last lines.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from lbctl.errors import LbctlError
from lbctl.model import SocketAddress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from lbctl.control.standing import Key

SCHEMA = 1
KEPT = 10_000  # events

CREATE = """
CREATE TABLE events (
    number  INTEGER PRIMARY KEY AUTOINCREMENT,
    time    REAL NOT NULL,
    kind    TEXT NOT NULL,
    subject TEXT NOT NULL,
    text    TEXT NOT NULL
) STRICT;
CREATE TABLE health (
    pool    TEXT NOT NULL,
    address TEXT NOT NULL,
    up      INTEGER NOT NULL,
    reason  TEXT NOT NULL,
    since   REAL NOT NULL,
    PRIMARY KEY (pool, address)
) STRICT, WITHOUT ROWID;
"""

log = logging.getLogger(__name__)


class Entry(NamedTuple):
    """One event; *time* is in seconds since 1970."""

    number: int
    time: float
    kind: str
    subject: str
    text: str


class SavedHealth(NamedTuple):
    """What checks had found of a back-end; *since* in seconds since 1970."""

    up: bool
    reason: str
    since: float


class Journal:
    """The events and the health of one instance; safe to use from several threads."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "journal.db"
        self.told: Counter[str] = Counter()  # by kind, since the start
        self._lock = threading.Lock()
        self._closed = False
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                self._db = self._opened()
            except sqlite3.DatabaseError as error:
                log.warning("%s: %s; beginning a new one", self.path, error)
                self.path.replace(self.path.with_suffix(".damaged"))
                self._db = self._opened()
        except OSError as error:
            raise LbctlError(f"{self.path}: {error.strerror}; check the disk") from error
        except sqlite3.Error as error:
            raise LbctlError(f"{self.path}: {error}; check the disk and who uses it") from error

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._closed = True
            self._db.close()

    def tell(self, kind: str, subject: str, text: str) -> None:
        """Note an event; a full disk is no reason to fail."""
        event = {"kind": kind, "subject": subject, "text": text}
        log.info("%s: %s: %s", kind, subject, text, extra={"event": event})
        row = (time.time(), kind, subject, text)
        with self._usable("an event could not be noted") as usable:
            self.told[kind] += 1
            if usable:
                cursor = self._db.execute(
                    "INSERT INTO events (time, kind, subject, text) VALUES (?, ?, ?, ?)", row
                )
                oldest = (cursor.lastrowid or 0) - KEPT
                self._db.execute("DELETE FROM events WHERE number <= ?", (oldest,))

    def events(
        self, *, after: int | None = None, limit: int = 100, kind: str | None = None
    ) -> list[Entry]:
        """Give the oldest *limit* events after number *after*, without it the newest; in order."""
        order = "number DESC" if after is None else "number"
        wanted = "AND kind = :kind" if kind else ""
        rows = []
        with self._usable("the events could not be read") as usable:
            if usable:
                rows = self._db.execute(
                    f"SELECT number, time, kind, subject, text FROM events "  # noqa: S608 - no words of others
                    f"WHERE number > :after {wanted} ORDER BY {order} LIMIT :limit",
                    {"after": after or 0, "kind": kind, "limit": limit},
                ).fetchall()
        return sorted(Entry(*row) for row in rows)

    def save(self, found: Iterable[tuple[Key, SavedHealth]]) -> None:
        """Remember what checks found."""
        rows = [(pool, str(address), *saved) for (pool, address), saved in found]
        with self._usable("health could not be noted") as usable:
            if usable:
                self._db.executemany("INSERT OR REPLACE INTO health VALUES (?, ?, ?, ?, ?)", rows)

    def health(self) -> dict[Key, SavedHealth]:
        """What was remembered."""
        rows = []
        with self._usable("health could not be read") as usable:
            if usable:
                rows = self._db.execute("SELECT * FROM health").fetchall()
        return {
            (pool, SocketAddress.parse(address)): SavedHealth(bool(up), reason, since)
            for pool, address, up, reason, since in rows
        }

    def forget_all_but(self, keys: Iterable[Key]) -> None:
        """Drop the health of back-ends that there are no more."""
        kept = {(pool, str(address)) for pool, address in keys}
        with self._usable("health could not be forgotten") as usable:
            if usable:
                rows = self._db.execute("SELECT pool, address FROM health").fetchall()
                gone = [row for row in rows if row not in kept]
                self._db.executemany("DELETE FROM health WHERE pool = ? AND address = ?", gone)

    @contextmanager
    def _usable(self, otherwise: str) -> Iterator[bool]:
        """Lock; tell whether the file is open still.  What goes wrong is the log's business."""
        with self._lock:
            try:
                yield not self._closed
            except sqlite3.DatabaseError:
                log.exception("%s: %s", self.path, otherwise)

    def _opened(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            _prepare(db)
        except BaseException:
            db.close()
            raise
        return db


def _prepare(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    (schema,) = db.execute("PRAGMA user_version").fetchone()
    if not schema:
        db.executescript(f"BEGIN; {CREATE} PRAGMA user_version = {SCHEMA}; COMMIT;")
    elif schema != SCHEMA:
        raise sqlite3.DatabaseError(f"written by another version of lbctl ({schema})")
    (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise sqlite3.DatabaseError(verdict)


def iso(seconds: float) -> str:
    """A time in seconds since 1970, as ISO 8601, UTC."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"
