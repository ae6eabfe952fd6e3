"""The state file: what an administrator wants, written and read while the agent runs."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbctl.agent.state import State, StateFile, read_state, write_state
from lbctl.agent.wire import Wish
from lbctl.errors import LbctlError, NotPermitted, UsageError

DRAIN = State(Wish.DRAIN, "new kernel")


def test_what_is_written_is_read(tmp_path):
    """
    By any user, for the agent is another one; nothing else is left in the folder.
    """
    path = tmp_path / "state"
    write_state(path, State(Wish.UP))
    write_state(path, DRAIN)

    assert DRAIN == read_state(path)
    assert "drain new kernel\n" == path.read_text()
    assert 0o644 == path.stat().st_mode & 0o777
    assert [path] == list(tmp_path.iterdir())


def test_no_file_is_no_state(tmp_path):
    """
    Nobody has said anything.
    """
    assert read_state(tmp_path / "none") is None


@given(st.text(max_size=300))
def test_any_text_is_a_state_or_refused(text):
    """
    What is read can be written again and means the same.
    """
    try:
        state = State.parse(text)
    except UsageError:
        return
    assert state == State.parse(str(state))


@pytest.mark.parametrize("content", [b"", b"sideways", b"drain a\x1b[31m", b"\xff", b"up " * 2000])
def test_a_file_of_something_else_is_an_error(tmp_path, content):
    """
    Which names the file.
    """
    path = tmp_path / "state"
    path.write_bytes(content)

    with pytest.raises(LbctlError, match=str(path)):
        read_state(path)


def test_a_folder_that_is_not_there_asks_for_the_agent(tmp_path):
    """
    It makes the folder when it starts.
    """
    with pytest.raises(UsageError, match="systemctl start lbctl-agent"):
        write_state(tmp_path / "none" / "state", DRAIN)


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path):
    """
    No half-written file beside it.
    """
    path = tmp_path / "state"
    path.mkdir()

    with pytest.raises(NotPermitted, match="sudo lbctl-agent state"):
        write_state(path, DRAIN)
    assert [path] == list(tmp_path.iterdir())


def test_a_reason_of_two_lines_is_refused(tmp_path):
    """
    The file has one.
    """
    with pytest.raises(UsageError, match="reason"):
        write_state(tmp_path / "state", State(Wish.UP, "a\nb"))
    assert [] == list(tmp_path.iterdir())


def test_the_agent_follows_the_file(tmp_path):
    """
    At once; without one it has its own, and says that nobody has set it.
    """
    path = tmp_path / "state"
    file = StateFile(path, Wish.MAINT)
    found = [file.current()]
    write_state(path, DRAIN)
    found.append(file.current())
    path.unlink()
    found.append(file.current())

    own = State(Wish.MAINT), False
    assert [own, (DRAIN, True), own] == found


def test_a_broken_file_changes_nothing(tmp_path, caplog):
    """
    A server in drain stays there; the log says once why.
    """
    path = tmp_path / "state"
    file = StateFile(path)
    write_state(path, DRAIN)
    file.current()
    path.write_text("rubbish")
    with caplog.at_level(logging.WARNING):
        found = [file.current(), file.current()]

    assert [(DRAIN, True)] * 2 == found
    assert 1 == len(caplog.records)
