"""
`lbctl top` and `lbctl drops --by` on a switch that has something to do.
"""

from __future__ import annotations

import os
import re
import sys

import pytest

from lbctl.testbed.processes import environment
from tests.netns.live import connect, going, none_failed, switch, vip4
from tests.support.terminal import Terminal

WEB, EMPTY = 40, 41


@pytest.fixture(scope="module")
def live():
    """Two clients, three servers; a pool that has all of them, and one that has none."""
    with switch() as live:
        live.pool("web", f"{vip4(WEB)}:80/tcp", live.backends())
        live.pool("empty", f"{vip4(EMPTY)}:80/tcp", [])
        yield live


def top(live, columns=80, lines=24):
    """Run `lbctl top` in a terminal."""
    env = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    places = {"LBCTL_SOCKET": str(live.socket), "LBCTL_NAME": live.name}
    command = [sys.executable, "-m", "lbctl", "top", "--interval", "0.5"]
    return Terminal(command, {**env, **environment(), **places}, columns, lines)


def rates(screen, name, *titles):
    """The figures below some titles in the row of that name; 0 where there is none."""
    lines = screen.splitlines()
    rows = [number for number, line in enumerate(lines) if line[2:].split()[:1] == [name]]
    if not rows:
        return [0.0]
    head = next(line for line in reversed(lines[: rows[0]]) if titles[0] in line.split())
    ends = [head.index(title) + len(title) for title in titles]
    words = [lines[rows[0]][:end].split()[-1] for end in ends]
    return [0.0 if word == "-" else float(word.rstrip("kMG")) for word in words]


def test_a_switch_at_work(live):
    """
    Rates of NICs, pools and back-ends; q gives the terminal back as it was.
    """
    with live.crowd(f"http://{vip4(WEB)}/") as crowd, top(live) as terminal:
        going(crowd)
        terminal.until(lambda seen: all(rates(seen, "web", "NEW/S", "PKT/S")), "no rates")
        terminal.until(lambda seen: all(rates(seen, "ext0", "PKT/S", "BIT/S")), "no packets")
        assert f"lbctl top  {live.name}  generation {live.generation}" in terminal.screen
        # A pool without back-ends is below: sorted by packets.
        assert terminal.screen.index("> web") < terminal.screen.index("  empty")

        terminal.press("\r")
        terminal.wait("back-ends of web: 1-3 of 3")
        for server in live.backends():
            terminal.until(
                lambda seen, name=server: all(rates(seen, name, "NEW/S", "PKT/S")),
                f"no packets of {server}",
            )
            assert re.search(rf"{server} +active", terminal.screen)
        terminal.press("q")

        assert 0 == terminal.end()
        assert terminal.before == terminal.settings
        assert terminal.raw.rindex(b"\x1b[?1049l") > terminal.raw.rindex(b"\x1b[?1049h")
        none_failed(crowd)


def test_drops_as_they_happen(live):
    """
    The reason, the NIC, and what to do; by pool it is known whose they were.
    """
    with top(live) as terminal:
        terminal.press("d")
        terminal.wait("drops")
        for _ in range(3):
            with pytest.raises(OSError, match="timed out"):
                live.inside("client0", connect, vip4(EMPTY), 80, 0.5)
        terminal.until(lambda seen: "> DROP_NO_BACKEND" in seen, "no drops")
        assert "No active back-end." in terminal.screen

    (row,) = live.json("drops", "--by", "pool")
    assert row["packets"] >= 3
    assert {"reason": "DROP_NO_BACKEND", "pool": "empty", "vip": f"{vip4(EMPTY)}:80/tcp"} == {
        key: row[key] for key in ("reason", "pool", "vip")
    }
    assert [] == live.json("drops", "--by", "backend")
    assert "No active back-end." in live.lbctl("drops")


def test_too_small(live):
    """
    A sentence, until there is room.
    """
    with top(live, columns=60, lines=20) as terminal:
        terminal.wait("The terminal has 60 columns and 20 lines; lbctl top needs 80")
        terminal.resize(80, 24)
        terminal.wait("pools: 1-2 of 2")
        terminal.press("q")

        assert 0 == terminal.end()


def test_the_daemon_restarts(live):
    """
    It says so, and goes on by itself.
    """
    with top(live) as terminal:
        terminal.wait("pools: 1-2 of 2")
        live.end()
        terminal.wait("lbctld does not answer since ")
        live.start()
        terminal.until(lambda seen: "does not answer" not in seen, "it does not come back")
