"""The journal keeps events and health, and is never the reason that the switch stands still."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time

import pytest

from lbctl.control import journal as journal_module
from lbctl.control import logs
from lbctl.control.journal import Journal, SavedHealth, iso
from lbctl.errors import LbctlError
from tests.unit.control.fakes import ONE, TWO

UP = SavedHealth(up=True, reason="200 in 3 ms", since=1000.5)
DOWN = SavedHealth(up=False, reason="connection refused", since=2000.0)


@pytest.fixture
def journal(tmp_path):
    """An empty journal."""
    journal = Journal(tmp_path)
    yield journal
    journal.close()


def texts(journal: Journal, **which) -> list[str]:
    """The texts of events, in order."""
    return [entry.text for entry in journal.events(**which)]


def fill(journal: Journal, count: int, kind: str = "health") -> None:
    """Tell the events 1, 2, 3, ..."""
    for number in range(1, count + 1):
        journal.tell(kind, "web", str(number))


def test_an_event_says_when_what_and_why(journal):
    """Numbers grow from 1."""
    before = time.time()
    journal.tell("health", "web 10.0.1.11:8080", "active -> down: no answer")

    (entry,) = journal.events()

    assert before <= entry.time <= time.time()
    assert entry._replace(time=0) == (
        1,
        0,
        "health",
        "web 10.0.1.11:8080",
        "active -> down: no answer",
    )


def test_the_newest_are_shown_in_order(journal):
    """At most so many."""
    fill(journal, 5)

    assert texts(journal, limit=2) == ["4", "5"]


def test_events_are_followed_by_number(journal):
    """The oldest after it, so that whoever asks again and again misses none."""
    fill(journal, 5)

    assert texts(journal, after=1, limit=2) == ["2", "3"]
    assert texts(journal, after=0) == ["1", "2", "3", "4", "5"]
    assert texts(journal, after=5) == []


def test_events_of_one_kind(journal):
    """Alone, and followed."""
    fill(journal, 3)
    fill(journal, 2, "load")

    assert texts(journal, kind="load") == ["1", "2"]
    assert texts(journal, kind="load", after=4) == ["2"]
    assert texts(journal, kind="none") == []


def test_old_events_are_forgotten(journal, monkeypatch):
    """The file does not grow for ever."""
    monkeypatch.setattr(journal_module, "KEPT", 3)
    fill(journal, 7)

    assert texts(journal) == ["5", "6", "7"]


def test_all_survives_reopening(journal, tmp_path):
    """Numbers go on, even when the last event was forgotten."""
    fill(journal, 2)
    journal.save([(("web", ONE), UP), (("web", TWO), UP), (("web", TWO), DOWN)])
    journal.close()

    again = Journal(tmp_path)
    again.tell("health", "web", "3")

    assert [entry.number for entry in again.events()] == [1, 2, 3]
    assert again.health() == {("web", ONE): UP, ("web", TWO): DOWN}
    again.close()


def test_health_of_who_is_gone_is_forgotten(journal):
    """Should it come back some day, it is a new server."""
    journal.save([(("web", ONE), UP), (("web", TWO), DOWN), (("other", TWO), UP)])

    journal.forget_all_but([("web", TWO), ("new", ONE)])

    assert journal.health() == {("web", TWO): DOWN}


def test_a_closed_journal_says_nothing(journal):
    """Whoever comes late in the shutdown does no harm."""
    fill(journal, 1)
    journal.close()

    journal.tell("health", "web", "late")
    journal.save([(("web", ONE), UP)])
    journal.forget_all_but([])
    assert (journal.events(), journal.health()) == ([], {})


SPOILED = {
    "no database": lambda path: path.write_bytes(b"no database at all" * 100),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:5000]),
    "of another version": lambda path: execute(path, "PRAGMA user_version = 99"),
}


def execute(path, statement: str) -> None:
    """Do something behind the journal's back."""
    db = sqlite3.connect(path)
    db.execute(statement)
    db.commit()
    db.close()


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_a_damaged_file_is_put_aside(journal, tmp_path, caplog, spoil):
    """A new one begins; nothing of the old one gets into it."""
    fill(journal, 3)
    journal._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    journal.tell("health", "web", "old")
    writes = tmp_path / "journal.db-wal"
    left = writes.read_bytes()
    journal.close()
    spoil(journal.path)
    writes.write_bytes(left)  # as a crash leaves it

    again = Journal(tmp_path)
    again.tell("health", "web", "new")

    assert texts(again) == ["new"]
    assert (tmp_path / "journal.damaged").exists()
    assert "beginning a new one" in caplog.text
    again.close()


def test_damage_that_shows_later_is_a_line_in_the_log(journal, caplog):
    """Reading and writing go on without it."""
    journal.tell("health", "web", "1")
    journal._db.executescript("DROP TABLE events; DROP TABLE health;")

    journal.tell("health", "web", "2")
    journal.save([(("web", ONE), UP)])
    journal.forget_all_but([])

    assert (journal.events(), journal.health()) == ([], {})
    assert "an event could not be noted" in caplog.text
    assert "health could not be read" in caplog.text


def test_a_place_that_cannot_be_used_is_an_error_of_one_line(tmp_path):
    """Not a traceback."""
    (tmp_path / "state").write_text("a file")

    with pytest.raises(LbctlError, match=r"journal\.db: File exists; check the disk") as caught:
        Journal(tmp_path / "state")

    assert "\n" not in str(caught.value)


def test_threads_take_turns(journal):
    """No event is lost, none has the number of another."""
    start = threading.Barrier(4)

    def work(kind: str) -> None:
        start.wait()
        for number in range(50):
            journal.tell(kind, "web", str(number))
            journal.save([((kind, ONE), UP)])
            journal.events(limit=1)

    threads = [threading.Thread(target=work, args=(str(n),)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    found = journal.events(limit=1000)
    assert [entry.number for entry in found] == list(range(1, 201))
    for kind in "0123":
        assert texts(journal, kind=kind) == [str(n) for n in range(50)]
    assert len(journal.health()) == 4


def test_times_are_written_in_utc():
    """ISO 8601."""
    assert iso(0.9) == "1970-01-01T00:00:00Z"


def test_events_have_their_parts_in_json_logs(journal, caplog):
    """So that a collector need not take the sentence apart."""
    with caplog.at_level(logging.INFO):
        journal.tell("health", "web 10.0.1.11:8080", "down: refused")

    line = json.loads(logs.JsonFormatter().format(caplog.records[-1]))
    assert line["message"] == "health: web 10.0.1.11:8080: down: refused"
    told = {name: line[name] for name in ("kind", "subject", "text")}
    assert told == {"kind": "health", "subject": "web 10.0.1.11:8080", "text": "down: refused"}
