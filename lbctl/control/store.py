"""
The store: keep every generation of the configuration, across crashes and power loss.

One SQLite file.  A generation is written in a transaction that stays open while the tables of
the switch are published: whoever dies in between leaves the old generation as the current one,
and the next start publishes it again.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationError

from lbctl.control.validation import usage_error
from lbctl.errors import LbctlError, NotFound
from lbctl.model import Configuration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SCHEMA = 1
APPLICATION = 0x6C626374  # "lbct", so that another program's database is never taken for ours
KEPT = 1000  # generations

CREATE = f"""
CREATE TABLE generations (
    number        INTEGER PRIMARY KEY,
    time          TEXT NOT NULL,
    who           TEXT NOT NULL,
    what          TEXT NOT NULL,
    configuration TEXT NOT NULL
) STRICT;
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {SCHEMA};
"""

SELECT = "SELECT number, time, who, what, configuration FROM generations"


class Generation(NamedTuple):
    """One entry of the history."""

    number: int
    time: str  # ISO 8601, UTC
    who: str
    what: str
    configuration: Configuration


class Store:
    """The generations in one directory; safe to use from several threads."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / "state.db"
        # Also keeps readers away from a generation that is written but not yet committed.
        self._lock = threading.RLock()
        with self._explained():
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._db = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
            try:
                self._open()
            except BaseException:
                self._db.close()
                raise

    def close(self) -> None:
        """Close the file; what was recorded is safe without it."""
        with self._lock:
            self._db.close()

    @property
    def current(self) -> Generation:
        """The newest generation: what the switch has to do."""
        return self._read("ORDER BY number DESC LIMIT 1")[0]

    def generation(self, number: int) -> Generation:
        """One generation.  Raises NotFound when it never was or is too old."""
        found = self._read("WHERE number = ?", number)
        if not found:
            raise NotFound(f"generation {number} is not kept; see `lbctl generations`")
        return found[0]

    def history(self) -> list[tuple[int, str, str, str]]:
        """Number, time, who and what of all kept generations, newest first."""
        select = "SELECT number, time, who, what FROM generations ORDER BY number DESC"
        with self._lock, self._explained():
            return self._db.execute(select).fetchall()

    @contextmanager
    def record(self, configuration: Configuration, *, who: str, what: str) -> Iterator[int]:
        """
        Write the next generation and commit it when the block ends well.

        The block gets the number and publishes.  When it fails, nothing was written.
        """
        text, time = configuration.model_dump_json(), f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        with self._lock, self._transaction():
            with self._explained():
                number = int(self._one("SELECT max(number) + 1 FROM generations"))
                row = (number, time, who, what, text)
                self._db.execute("INSERT INTO generations VALUES (?, ?, ?, ?, ?)", row)
                self._db.execute("DELETE FROM generations WHERE number <= ?", (number - KEPT,))
            yield number

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._explained():
            self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            with self._explained():
                self._db.execute("COMMIT")
        except BaseException:
            # SQLite has rolled back by itself after some errors, such as a full disk.
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise

    def _read(self, where: str, *values: int) -> list[Generation]:
        with self._lock, self._explained():
            rows = self._db.execute(f"{SELECT} {where}", values).fetchall()
        return [
            Generation(number, time, who, what, self._configuration(number, text))
            for number, time, who, what, text in rows
        ]

    def _configuration(self, number: int, text: str) -> Configuration:
        try:
            return Configuration.model_validate_json(text)
        except ValidationError as err:
            why = usage_error(err.errors())
            raise LbctlError(f"{self.path}: generation {number} makes no sense: {why}") from err

    def _one(self, statement: str) -> int:
        value: int = self._db.execute(statement).fetchone()[0]
        return value

    def _open(self) -> None:
        application, schema = self._one("PRAGMA application_id"), self._one("PRAGMA user_version")
        tables = self._one("SELECT count(*) FROM sqlite_schema")
        if not (application or schema or tables):
            self._create()
        elif application != APPLICATION:
            raise LbctlError(f"{self.path}: not a database of lbctl; choose another --state-dir")
        elif schema != SCHEMA:
            raise LbctlError(
                f"{self.path}: written by another version of lbctl (schema {schema}, this one "
                f"reads {SCHEMA}); install that version again, or choose another --state-dir"
            )
        self._db.execute("PRAGMA journal_mode = WAL")
        self._db.execute("PRAGMA synchronous = FULL")
        if (verdict := self._db.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(verdict)

    def _create(self) -> None:
        """Make the table with its first generation, the empty configuration, at one blow."""
        row = (0, f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "lbctld", "new, empty")
        with self._transaction():
            for statement in CREATE.split(";"):
                self._db.execute(statement)
            empty = Configuration().model_dump_json()
            self._db.execute("INSERT INTO generations VALUES (?, ?, ?, ?, ?)", (*row, empty))

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn what SQLite and the file system say into one line that helps."""
        try:
            yield
        except sqlite3.OperationalError as err:
            raise LbctlError(
                f"{self.path}: {err}; nothing was changed; check the disk and who uses the file"
            ) from err
        except sqlite3.DatabaseError as err:
            raise LbctlError(
                f"{self.path}: the database is damaged ({' '.join(str(err).split())}); restore a "
                f"copy of it, or move it away and `lbctl apply -f` your last export"
            ) from err
        except OSError as err:
            raise LbctlError(f"{err.filename or self.path}: {err.strerror}") from err
