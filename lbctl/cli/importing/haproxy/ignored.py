"""The rest: what is to be said of lines that nothing else reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbctl.cli.importing.haproxy.checks import HTTP, OTHERS, TCP
from lbctl.cli.importing.haproxy.lines import DEFAULTS, GLOBAL, NOT_INHERITED
from lbctl.cli.importing.remarks import Kind

if TYPE_CHECKING:
    from lbctl.cli.importing.haproxy.lines import Section, Statement
    from lbctl.cli.importing.remarks import Remarks

READ = {
    *("bind", "server", "default-server", "server-template", "dispatch", "use_backend"),
    *("default_backend", "balance", "stick", "http-check", "tcp-check"),
    *("timeout client", "timeout server", "timeout tunnel", "timeout check"),
    *("timeout client-fin", "timeout server-fin"),
    *(f"option {kind}" for kind in (HTTP, TCP, "allbackups", *OTHERS)),
}
PROCESS = (Kind.NOT_NEEDED, "it is of HAProxy's process")
LOG = (Kind.NOT_NEEDED, "lbctl keeps no log of connections; see `lbctl events` and its metrics")
ENDS = (Kind.NOT_NEEDED, "client and server talk to each other: nothing stands between them")
SEEN = (Kind.NOT_NEEDED, "servers see the addresses of clients")
ABOVE = (Kind.NOT_TAKEN, "it is above TCP: nothing looks into what is said")
LIMIT = (Kind.NOT_TAKEN, "lbctl does not limit connections")
ACCESS = (Kind.NOT_TAKEN, "lbctl refuses and delays nobody")
TABLE = (Kind.NOT_TAKEN, "there are no such tables")
OTHER = (Kind.NOT_TAKEN, "lbctl has nothing like it")
NOTHING = (Kind.NOT_NEEDED, "it has no meaning here")
INHERITED = (Kind.NOT_TAKEN, "it cannot stand in defaults")
ACL = (Kind.NOT_TAKEN, "only addresses and ports of a frontend decide: src, dst, dst_port")
HTTP_MODE = "balanced as TCP: one server for a connection, and what looks into requests is lost"
SAID = {
    **dict.fromkeys(("log", "log-format", "log-tag", "error-log-format", "unique-id-format"), LOG),
    **dict.fromkeys(("option tcplog", "option httplog", "option dontlognull"), LOG),
    **dict.fromkeys(("option log-health-checks", "option logasap", "option dontlog-normal"), LOG),
    **dict.fromkeys(("option log-separate-errors", "option httpslog", "log-format-sd"), LOG),
    **dict.fromkeys(("timeout connect", "timeout queue", "timeout http-request"), ENDS),
    **dict.fromkeys(("timeout http-keep-alive", "timeout tarpit", "retries", "retry-on"), ENDS),
    **dict.fromkeys(("option redispatch", "option abortonclose", "option persist"), ENDS),
    **dict.fromkeys(("option http-server-close", "option httpclose", "option forceclose"), ENDS),
    **dict.fromkeys(("option http-keep-alive", "option prefer-last-server", "grace"), ENDS),
    **dict.fromkeys(("option tcpka", "option clitcpka", "option srvtcpka"), ENDS),
    **dict.fromkeys(("option splice-auto", "option splice-request", "http-reuse"), ENDS),
    **dict.fromkeys(("option splice-response", "option nolinger", "option contstats"), ENDS),
    **dict.fromkeys(("option tcp-smart-accept", "option tcp-smart-connect"), ENDS),
    **dict.fromkeys(("option http-use-htx", "option http-no-delay", "option socket-stats"), ENDS),
    **dict.fromkeys(
        ("option forwardfor", "option originalto", "source", "option transparent"), SEEN
    ),
    **dict.fromkeys(("maxconn", "fullconn", "rate-limit", "backlog"), LIMIT),
    **dict.fromkeys(("tcp-request", "tcp-response", "timeout inspect-delay"), ACCESS),
    **dict.fromkeys(("http-request", "http-response", "http-after-response", "redirect"), ABOVE),
    **dict.fromkeys(("cookie", "appsession", "capture", "compression", "filter", "stats"), ABOVE),
    **dict.fromkeys(("errorfile", "errorloc", "errorloc302", "errorloc303", "errorfiles"), ABOVE),
    **dict.fromkeys(("reqadd", "rspadd", "reqrep", "reqirep", "rsprep", "reqdel", "rspdel"), ABOVE),
    **dict.fromkeys(("http-error", "http-send-name-header", "monitor-uri", "use-server"), ABOVE),
    **dict.fromkeys(("monitor", "use-fcgi-app", "option http-buffer-request"), ABOVE),
    **dict.fromkeys(("stick-table", "declare", "persist"), TABLE),
    **dict.fromkeys(("description", "id", "enabled", "guid", "bind-process", "no"), NOTHING),
    "hash-type": (Kind.NOT_NEEDED, "hardly a connection moves when a server comes or goes"),
    "hash-balance-factor": OTHER,
}


def remark(section: Section, remarks: Remarks) -> None:
    """Say what becomes of the lines of *section* that nothing else reads."""
    for statement in section.own:
        if section.kind == GLOBAL:
            _say(statement, statement.words[0], PROCESS, remarks)
        elif section.kind == DEFAULTS and statement.words[0] in NOT_INHERITED:
            _say(statement, statement.text, INHERITED, remarks)
        elif statement.words[0] == "mode":
            _mode(statement, remarks)
        elif statement.words[0] == "acl":
            if section.kind == "backend" or statement.words[2:3] not in (
                ("src",),
                ("dst",),
                ("dst_port",),
            ):
                _say(statement, statement.text, ACL, remarks)
        elif statement.words[0] == "disabled":
            _say(statement, "disabled", (Kind.NOT_TAKEN, "the proxy is left out"), remarks)
        else:
            _other(statement, remarks)


def _other(statement: Statement, remarks: Remarks) -> None:
    names = (" ".join(statement.words[:2]), statement.words[0])
    if not READ.intersection(names):
        known = next((SAID[name] for name in names if name in SAID), OTHER)
        what = statement.text if known[0] is Kind.NOT_TAKEN else names[0]
        _say(statement, what, known, remarks)


def _mode(statement: Statement, remarks: Remarks) -> None:
    mode = statement.words[1] if statement.words[1:] else ""
    if mode == "http":
        remarks.differs(statement.line, statement.text, HTTP_MODE)
    elif mode != "tcp":
        remarks.not_taken(statement.line, statement.text, "only proxies of tcp and http are taken")


def _say(statement: Statement, what: str, said: tuple[Kind, str], remarks: Remarks) -> None:
    kind, why = said
    say = remarks.not_taken if kind is Kind.NOT_TAKEN else remarks.not_needed
    say(statement.line, what, why)
