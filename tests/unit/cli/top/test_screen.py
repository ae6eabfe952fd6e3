"""
What is drawn: every page in 80 columns and 24 lines, with all that matters on it.
"""

from __future__ import annotations

import pytest
from rich.console import Console

from lbctl.cli.top import screen
from lbctl.cli.top.marks import ASCII, UNICODE
from lbctl.cli.top.readings import Look, Readings
from lbctl.cli.top.screen import Scene, Size
from lbctl.cli.top.view import Order, Page, View
from tests.unit.cli.top.switch import app, check, drop, pool, server, stats, status

WEB = pool(servers=[server(1), server(2)])
POOL = View(page=Page.POOL, pool="web")
DROPS = View(page=Page.DROPS)
LONG = "[2001:db8:1111:2222:3333:4444:5555:6666]:65535"


def seen(pools=(WEB,), *, seconds=2, **more):
    """Readings of a switch, one second apart; *more* is what else the API says."""
    said = {"status": status(), "pools": list(pools), **more}
    readings = Readings()
    for second in range(seconds):
        counters = stats(pools, second, [nic["name"] for nic in said["status"]["nics"]])
        readings.add(Look(float(second), stats=counters, **said))
    return readings


def drawn(readings, view=None, size=(80, 24), marks=UNICODE, away=None, **console):
    """Draw, and give the lines of the terminal; none may be too long, and all are there."""
    scene = Scene(readings, view or View(), marks, 1.0, "12:34:56", away)
    columns, lines = size
    paper = Console(width=columns, height=lines, highlight=False, markup=False, **console)
    with paper.capture() as captured:
        paper.print(screen.draw(scene, Size(*size)), end="")
    found = captured.get().split("\n")
    assert len(found) <= lines
    if not console:
        assert all(len(line) <= columns for line in found)
    return found


def line_of(word, lines):
    """The words of the only line that has *word* in it."""
    (found,) = [line for line in lines if word in line.split()]
    return found.replace(">", " ").split()


def test_header():
    """
    Which switch, and how full its connection table is.
    """
    lines = drawn(seen())

    assert "lbctl top  default  generation 7, buffer B" in lines[0]
    assert lines[0].rstrip().endswith("every 1 s  12:34:56")
    assert "connections 16384 of 65536 ████████░░░░░░░░░░░░░░░░░░░░░░ 25%" == lines[1].rstrip()
    assert "no warnings" == lines[2].rstrip()


def test_overview():
    """
    Rates of NICs and pools; the VIPs of the selected pool.
    """
    lines = drawn(seen())

    assert ["eth1", "native", "1.00k", "8.00M", "5"] == line_of("eth1", lines)[:5]
    assert ["web", "2", "2/2", "30", "20", "200", "2"] == line_of("web", lines)[:7]
    assert "web: 203.0.113.10:80/tcp, 203.0.113.10:443/tcp" in "\n".join(lines)
    assert lines[-1].startswith("Enter open")


def test_the_first_look_has_no_rates():
    """
    A dash, not a zero.
    """
    assert ["web", "2", "2/2", "30", "-", "-", "-"] == line_of("web", drawn(seen(seconds=1)))


def test_a_pool():
    """
    Its back-ends, with shares, load and health; all of the selected one below.
    """
    servers = [
        server(1, wanted=0.4, share=0.45, measured=0.474, load=0.25, report_age_seconds=0.4),
        server(2, wanted=0.6, share=0.55, measured=0.526, load=0.031, report_age_seconds=1.2),
        server(3, state="down", reason="connection refused", wanted=0.0, share=0.0),
    ]
    checks = [check(1), check(2), check(3, up=False, reason="connection refused")]
    lines = drawn(seen([pool(servers=servers)], health=checks), POOL)
    text = "\n".join(lines)

    assert "203.0.113.10:80/tcp, 203.0.113.10:443/tcp (nat, maglev)" in text
    expected = ["active", "1", "40%", "45%", "47%", "10", "10", "100", "25%", "up"]
    assert expected == line_of("10.0.1.1:8080", [x for x in lines if x[:1] == ">"])[1:11]
    assert "10.0.1.1:8080 is active" in text
    assert "weight 1, wanted 40%, given 45%, measured 47%, load 25%, reported 0.4 s ago" in text
    assert "check http up since 2025-01-02T03:04:05Z: status 200" in text
    assert "10.0.1.3:8080 is down: connection refused" in text


def test_shares_that_are_as_wanted_are_shown_once():
    """
    The room is for the trend.
    """
    titles = next(line for line in drawn(seen(), POOL) if "STATE" in line)

    assert "GIVEN" in titles
    assert "WANT" not in titles
    assert "TREND" in titles


def test_drops():
    """
    By rate, with cause and cure; the selected reason's first.
    """
    readings = Readings()
    for second in range(2):
        found = [
            drop("DROP_MALFORMED", 1000 + 3 * second),
            drop("DROP_NO_ROUTE", 50 * second, "enp129s0f0np0v0"),
        ]
        readings.add(Look(float(second), status(), drops=found))
    lines = drawn(readings, DROPS)
    text = "\n".join(lines)

    selected = next(line for line in lines if line.startswith(">"))
    assert ["DROP_NO_ROUTE", "enp129s0f0np0v0", "50", "50"] == selected[1:].split()[:4]
    assert text.index("No route to the back-end.") < text.index("The sender is broken.")
    assert "`lbctl capture --verdict DROP_NO_ROUTE`" in text


def applications(*more):
    """Readings of a switch with application voip, one second apart, and *more*."""
    readings = Readings()
    for second in range(2):
        readings.add(Look(float(second), status(apps=[app(seconds=second), *more])))
    return readings


def test_applications():
    """
    The busiest first, with what they lost; all of the selected one, and why it lost something.
    """
    ended = {"state": "stopped", "pid": None, "ports": [], "next": "sudo -u root python3 PROGRAM"}
    lines = drawn(applications(app("dns", **ended)), View(page=Page.APPS))
    text = "\n".join(lines)

    selected = next(line for line in lines if line.startswith(">"))
    assert ["voip", "running", "100", "3", "3", "2"] == selected[1:].split()[:6]
    assert ["dns", "stopped", "0", "0", "0", "0"] == line_of("dns", lines)[:6]
    assert "voip: 203.0.113.20:5060/udp" in text
    assert "running, process 4711 of voip since 2025-01-02T03:04:05Z" in text
    assert "lost: rx-ring-full 3" in text
    assert "dns: `sudo -u root python3 PROGRAM`" in text


def test_an_application_that_does_not_run():
    """
    Selected, its own cure comes first.
    """
    ended = {"state": "stopped", "pid": None, "ports": [], "next": "sudo -u one PROGRAM"}
    view = View(page=Page.APPS, selected={Page.APPS: "dns"})
    readings = applications(
        app("a", **{**ended, "next": "sudo -u two PROGRAM"}), app("dns", **ended)
    )
    text = "\n".join(drawn(readings, view))

    assert text.index("dns: `sudo -u one PROGRAM`") < text.index("a: `sudo -u two PROGRAM`")
    assert "lost:" not in text


def test_no_applications():
    """
    How to add one.
    """
    text = "\n".join(drawn(seen(), View(page=Page.APPS)))

    assert "no network applications; add one with `lbctl app add`" in text


@pytest.mark.parametrize(
    ("warnings", "expected"),
    [
        (["no NIC is attached"], "1 warning: no NIC is attached"),
        (["no NIC is attached", "x"], "2 warnings, the first: no NIC is attached"),
    ],
)
def test_warnings(warnings, expected):
    """
    How many, and the first; the others below, where there is room.
    """
    lines = drawn(seen(status=status(warnings=warnings)))

    assert expected == lines[2].rstrip()
    assert set(warnings[1:]) <= {line.rstrip() for line in lines}


def test_a_long_warning_takes_two_lines():
    """
    And is not cut before that.
    """
    warning = "NIC eth0 works in generic mode, which is slow; `lbctl preflight eth0` says why"
    lines = drawn(seen(status=status(warnings=[warning])))

    assert f"1 warning: {warning}" == f"{lines[2].rstrip()} {lines[3].strip()}"


def test_a_warning_that_is_too_long_says_so():
    """
    Its end is marked.
    """
    lines = drawn(seen(status=status(warnings=["very " * 100])))

    assert lines[3].rstrip().endswith("very …")


def test_the_daemon_is_away():
    """
    It says so where the warnings are; the figures stay.
    """
    lines = drawn(seen(), away="lbctld does not answer since 12:34:56: no daemon answers")

    assert "lbctld does not answer since 12:34:56: no daemon answers" == lines[2].rstrip()
    assert "web" in line_of("web", lines)


def test_paused():
    """
    It says so.
    """
    assert "PAUSED" in drawn(seen(), View(paused=True))[0]


def many(count, name="pool-{:03}"):
    """So many pools."""
    return [pool(name.format(n), [server(1), server(2)]) for n in range(count)]


@pytest.mark.parametrize("selected", ["pool-000", "pool-050", "pool-099"])
def test_the_selected_row_is_seen(selected):
    """
    However many pools there are: those around it are shown.
    """
    lines = drawn(seen(many(100)), View(selected={Page.OVERVIEW: selected}))

    assert [selected] == [line.split()[1] for line in lines if line.startswith(">")]
    assert 14 == len([line for line in lines if line[2:].startswith("pool-")])


def test_the_title_says_which_rows_and_in_which_order():
    """
    And which there are besides.
    """
    orders = {**View().orders, Page.OVERVIEW: Order(2, reverse=True)}
    lines = drawn(seen(many(30)), View(orders=orders))

    assert any("pools: 1-14 of 30, by POOL, Z to A" in line for line in lines)
    assert any("pools: 1-14 of 30, by PKT/S, largest first" in x for x in drawn(seen(many(30))))


def test_more_nics_than_there_is_room_for():
    """
    The busiest, and how many there are.
    """
    nics = [f"eth{n}" for n in range(9)]
    lines = drawn(seen(status=status(nics)))

    assert any("NICs: the busiest 4 of 9" in line for line in lines)
    assert 4 == len([line for line in lines if "native" in line])


def test_nothing_is_configured():
    """
    What to type next.
    """
    text = "\n".join(drawn(seen((), status=status(()))))

    assert "lbctl attach IFACE" in text
    assert "lbctl pool add" in text


@pytest.mark.parametrize(
    ("view", "hint"), [(POOL, "the pool was removed"), (DROPS, "no packet was discarded")]
)
def test_pages_without_rows(view, hint):
    """
    They say why.
    """
    assert hint in "\n".join(drawn(seen((), pool={}, drops=[]), view))


def worst():
    """Names, addresses and figures as long as they get."""
    ill = {"state": "maintenance", "reason": "kept from new connections " * 5, "weight": 65535}
    busy = {"connections": 10**9, "wanted": 1.0, "share": 0.999, "measured": 0.123, "load": 1.5}
    servers = [
        server(1, **ill, **busy, report_age_seconds=99999.9),
        server(2, address=LONG, **ill),
    ]
    name = "a-pool-with-a-name-of-sixty-three-characters-which-is-the-most-x"
    one = pool(name, servers, vips=[f"{LONG}/tcp"] * 9, problem="it does not work " * 9)
    nics = ["enp129s0f0np0v0", "eth1"]
    known = status(nics, name="n" * 63, generation=10**6, warnings=["word " * 90] * 9)
    checks = [check(1, pool=name, up=None, inhibited_until="2025-01-02T03:04:05Z")]
    drops = [drop(f"DROP_{n}", 10**15, nic) for n in range(20) for nic in nics]
    return seen([one], status=known, health=checks, drops=drops), name


@pytest.mark.parametrize("marks", [UNICODE, ASCII], ids=["unicode", "ascii"])
@pytest.mark.parametrize("size", [(80, 24), (81, 25), (132, 43), (250, 80)], ids=str)
@pytest.mark.parametrize("page", list(Page))
def test_the_worst_case_fits(page, size, marks):
    """
    No line is longer than the terminal, none is too many, and figures are whole.
    """
    readings, name = worst()
    lines = drawn(readings, View(page=page, pool=name), size, marks, away="gone " * 99)

    assert marks is UNICODE or all(line.isascii() for line in lines)
    assert lines[-1].startswith("Enter open")
    if page is Page.POOL:
        row = next(line for line in lines if line.startswith(">"))
        assert {"maint", "100%", "1.00G"} <= set(row.split())


def test_a_long_address_keeps_its_end():
    """
    In the row its middle is left out; below it is whole.
    """
    readings = seen([pool(servers=[server(1, address=LONG)])])
    lines = drawn(readings, POOL)

    row = next(line for line in lines if line.startswith(">"))
    assert row.split()[1].startswith("[2001:db8")
    assert row.split()[1].endswith(":65535")
    assert any(line.startswith(f"{LONG} is active") for line in lines)


def test_wide_terminals_show_more():
    """
    The whole address, and a longer trend.
    """
    readings = seen([pool(servers=[server(1, address=LONG)])], seconds=60)
    row = next(line for line in drawn(readings, POOL, (160, 40)) if line.startswith(">"))

    assert LONG in row
    assert "█" * 40 in row


@pytest.mark.parametrize("size", [(79, 24), (80, 23), (60, 20), (30, 5), (5, 2), (1, 1)], ids=str)
def test_a_terminal_that_is_too_small(size):
    """
    A sentence instead of rubbish, as far as it fits.
    """
    words = " ".join(" ".join(drawn(seen(), View(), size)).split())

    whole = f"The terminal has {size[0]} columns and {size[1]} lines; lbctl top needs 80 and 24."
    assert words.startswith("T")
    assert size < (30, 5) or whole in words


def test_help():
    """
    Every key, in the space there is.
    """
    text = "\n".join(drawn(seen(), View(help=True)))

    for word in ("Enter", "Esc", "s / S", "pause", "q, Ctrl-C", "replies that come by."):
        assert word in text


def test_what_a_terminal_would_obey_is_shown_as_text():
    """
    Reasons come from servers and agents.
    """
    servers = [server(1, state="down", reason="\x1b[2Jgone\n")]

    assert r"10.0.1.1:8080 is down: \x1b[2Jgone\n" in "\n".join(
        drawn(seen([pool(servers=servers)]), POOL)
    )


def test_colours(monkeypatch):
    """
    States are seen at a glance; not where NO_COLOR is set, and the selected row even there.
    """
    readings = seen([pool(servers=[server(1), server(2, state="down", reason="gone")])])
    options = {"force_terminal": True, "color_system": "standard"}
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert "\x1b[31mdown" in "\n".join(drawn(readings, POOL, **options))

    monkeypatch.setenv("NO_COLOR", "1")
    text = "\n".join(drawn(readings, POOL, **options))
    assert "\x1b[31m" not in text
    assert "\x1b[7m" in text
