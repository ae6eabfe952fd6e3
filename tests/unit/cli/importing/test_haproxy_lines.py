"""
The lines of a haproxy.cfg: words, sections, defaults, and what is said of those nobody reads.
"""

from __future__ import annotations

import pytest

from lbctl.cli.importing.haproxy import lines, units
from lbctl.cli.importing.remarks import Remarks
from tests.unit.cli.importing.saying import IDLE, LOST, OTHER, proxy, remarks, why


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("  # nothing", ()),
        ("bind *:80 # all", ("bind", "*:80")),
        ("\tbind\t*:80\r", ("bind", "*:80")),
        (r"a\ b c\#d", ("a b", "c#d")),
        (r"x HTTP/1.1\r\nHost:\ a", ("x", "HTTP/1.1\r\nHost: a")),
        (r"\x41\\", ("A\\",)),
        ('say "all # \\"well\\""', ("say", 'all # "well"')),
        ("say 'it \\ is' x''y", ("say", "it \\ is", "xy")),
        ('a ""', ("a", "")),
    ],
)
def test_words(text, expected):
    """
    Quotes, escapes and comments, as HAProxy has them.
    """
    assert expected == lines.split(text)


@pytest.mark.parametrize("text", ['say "all', "say 'all", "end \\"])
def test_quotes_that_are_not_closed(text):
    """
    They are no words.
    """
    with pytest.raises(ValueError, match="a quote is not closed"):
        lines.split(text)


def test_defaults():
    """
    The last ones before a proxy hold for it, or those that it names; its own lines come after.
    """
    text = (
        "defaults\nmode http\ndefaults slow\nmode tcp\ntimeout client 9s\nbind *:1\n"
        "frontend a\ntimeout client 1s\nfrontend b from slow\nfrontend c from nowhere\n"
    )
    said = Remarks()
    a, b, c = lines.sections(text, said)[2:]

    assert ["tcp", "tcp", "tcp"] == [a.mode, b.mode, c.mode]
    assert ["9s", "1s"] == [s.words[2] for s in a.every("timeout", "client")]
    assert ["1s", "9s"] == [s.last("timeout", "client").words[2] for s in (a, b)]
    assert ([], None) == (a.every("bind"), c.last("timeout", "client"))
    assert [(10, "from nowhere")] == [(remark.line, remark.what) for remark in said]


def test_conditional_lines():
    """
    Nobody knows here which of them hold, so none is taken.
    """
    said = Remarks()
    text = "listen a\n.if defined(X)\nbind *:1\n.if 1\n.endif\nbind *:2\n.endif\nbind *:3\n"
    (a,) = lines.sections(text, said)

    assert ["*:3"] == [statement.words[1] for statement in a.every("bind")]
    assert [2, 3, 4, 5, 6, 7] == [remark.line for remark in said]


@pytest.mark.parametrize(
    ("line", "kind", "said"),
    [
        ("mode http", OTHER, "balanced as TCP"),
        ("option httplog", IDLE, "option httplog: lbctl keeps no log"),
        ("option forwardfor except 127.0.0.1", IDLE, "servers see the addresses of clients"),
        ("retries 3", IDLE, "client and server talk to each other"),
        ("no option redispatch", IDLE, "no option: it has no meaning here"),
        ("http-request deny if { src 10.0.0.1 }", LOST, "it is above TCP"),
        ("tcp-request connection reject", LOST, "lbctl refuses and delays nobody"),
        ("stick-table type ip size 1m", LOST, "there are no such tables"),
        ("stick on req.cook(id)", LOST, "only addresses can stick"),
        ("maxconn 2000", LOST, "lbctl does not limit connections"),
        ("acl api path_beg /api", LOST, "only addresses and ports of a frontend decide"),
        ("warp 9", LOST, "warp 9: lbctl has nothing like it"),
        ("timeout client soon", LOST, "it is no time"),
        ('say "all', LOST, "a quote is not closed"),
        ("default_backend nowhere", LOST, "there is no such backend"),
    ],
)
def test_lines_that_nobody_takes(line, kind, said):
    """
    Each is told, with the reason.
    """
    imported = proxy("server a 10.0.1.11:80", line)

    assert kind == remarks(imported)[4]
    assert said in why(imported, 4)


def test_other_sections():
    """
    Every line of a section that is not taken is told.
    """
    imported = proxy("server a 10.0.1.11:80", "resolvers dns", "nameserver a 10.0.0.53:53")

    assert {4: LOST, 5: LOST} == remarks(imported)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("500", 0.5), ("500ms", 0.5), ("3s", 3), ("2m", 120), ("1h", 3600), ("1d", 86400)],
)
def test_times(text, expected):
    """
    Milliseconds, unless there is a unit.
    """
    assert expected == units.seconds(text)


@pytest.mark.parametrize("text", ["", "s", "1.5s", "-1s", "1w", "\u00b2s"])
def test_no_times(text):
    """
    None is said, not a number made up.
    """
    assert units.seconds(text) is None
