"""The page of the daemon: the options of lbctld, by what they are about."""

from __future__ import annotations

from dataclasses import fields

from generator import clicked, text
from lbctl.control.daemon import main
from lbctl.shared.tables import Capacity

INTRO = """\
`lbctld` is the [control processor](../design/architecture.md): it sets up the switching processors
and changes their tables. It runs in the foreground, as root, and says on standard output when it is
ready; under systemd it says so there too. One daemon serves one *instance*: a name, a folder of
generations, a folder of pins, a socket."""

SIGNALS = """\
SIGTERM and SIGINT end it. The switching processors go on without it, and the next `lbctld` of that
name takes them over: see [upgrade](../howto/upgrade.md)."""

ROOM = """\
The tables are made when an instance starts for the first time, with these sizes, and keep them.
Another size needs new tables: `--fresh`, which forgets all connections.
[Tables](tables.md) has what each costs in memory."""

SECTIONS = {
    "Which instance": (("name", "netns", "state_dir", "pin_dir", "socket"), ""),
    "Who may ask it": (
        (
            "listen",
            "page_listen",
            "metrics_listen",
            "push_listen",
            "tls_cert",
            "tls_key",
            "token_file",
        ),
        "The Unix socket is always there; root and the group `lbctl` may use it.",
    ),
    "Room in the tables": (tuple(field.name for field in fields(Capacity)), ROOM),
    "Log": (("log_level", "log_format"), "It goes to standard error."),
    "Start and end": (("fresh", "detach_on_exit"), ""),
}


def page() -> str:
    """The whole page."""
    found = clicked.context(main, "lbctld", None)
    by_name = {option.name or "": option for option in clicked.options(found)}
    parts = ["# lbctld", INTRO, clicked.usage(found), clicked.examples(main), SIGNALS]
    for title, (names, words) in SECTIONS.items():
        chosen = [by_name.pop(name) for name in names]
        parts += [f"## {title}", words, clicked.option_table(found, chosen)]
    if by_name:
        raise SystemExit(f"lbctld: options in no section of the page: {', '.join(by_name)}")
    return text.join(*parts)
