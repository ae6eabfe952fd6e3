"""The checks: what HAProxy asks its servers, as a check of the model."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from lbctl.cli.importing.haproxy import units
from lbctl.cli.importing.haproxy.lines import Section
from lbctl.cli.importing.remarks import Remarks
from lbctl.control.validation import usage_error
from lbctl.model import AnyCheck, TcpCheck
from lbctl.model.health import STATUS as SPAN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lbctl.cli.importing.haproxy.lines import Statement
    from lbctl.cli.importing.haproxy.servers import Server

ANY: TypeAdapter[AnyCheck] = TypeAdapter(AnyCheck)
INTERVAL = 2.0
HTTP, TCP = "httpchk", "tcp-check"
OTHERS = (
    *("mysql-check", "pgsql-check", "redis-check", "smtpchk", "ldap-check", "ssl-hello-chk"),
    *("spop-check", "external-check", "lb-agent-chk"),
)
CONNECTS = "check tcp: that a connection can be opened is all that is asked"
GET = "it is asked by GET, with HTTP/1.1"
COMMON = ("interval", "timeout", "rise", "fall", "port")
ONE = "a pool has one check for all of its servers: that of the first"
HOST = re.compile(r"^host:\s*(\S+)", re.IGNORECASE | re.MULTILINE)


@dataclass
class _Asking:
    """What is asked, as far as it is read."""

    section: Section
    remarks: Remarks
    fields: dict[str, Any] = field(default_factory=lambda: {"check": "tcp"})
    method: str = "GET"

    def lost(self, statement: Statement, why: str = "checks have nothing like it") -> None:
        self.remarks.not_taken(statement.line, statement.text, why)


def health(section: Section, servers: Sequence[Server], remarks: Remarks) -> AnyCheck | None:
    """The check of a backend; None if none of its servers is checked."""
    asking = _Asking(section, remarks)
    _kind(asking)
    checked = [server for server in servers if server.is_checked]
    if not checked:
        return None
    for server in servers:
        if not server.is_checked:
            remarks.differs(server.line, server.text, "it is checked, for others of its pool are")
    _of_servers(asking, checked)
    _timing(asking)
    try:
        return ANY.validate_python(asking.fields)
    except ValidationError as err:
        why = f"check tcp instead: {usage_error(err.errors())}"
        remarks.differs(section.head.line, section.head.text, why)
    return TcpCheck(**{key: value for key, value in asking.fields.items() if key in COMMON})


def _kind(asking: _Asking) -> None:
    """Read which kind of check it is: the last option that says so."""
    options = [s for s in asking.section.every("option") if s.words[1:]]
    kinds = [s for s in options if s.words[1] in (HTTP, TCP, *OTHERS)]
    last = kinds[-1] if kinds else None
    if last and not asking.section.last(*last.words[:2]):
        last = None  # taken back by `no option`
    kind = last.words[1] if last else ""
    if last and kind == HTTP:
        _httpchk(asking, last)
    elif last and kind in OTHERS:
        asking.remarks.differs(last.line, last.text, CONNECTS)
    for statement in asking.section.every("http-check"):
        if kind == HTTP:
            _http_check(asking, statement)
        else:
            asking.remarks.not_needed(statement.line, statement.text, "the check is not httpchk")
    if last and asking.method != "GET":
        asking.remarks.differs(last.line, last.text, GET)
    for statement in asking.section.every("tcp-check"):
        if kind == TCP and statement.words[1:2] == ("connect",):
            _connect(asking, statement, statement.words[2:])
        elif statement.words[1:2] != ("comment",):
            asking.lost(statement, CONNECTS)


def _httpchk(asking: _Asking, statement: Statement) -> None:
    """Read `option httpchk [[method] uri [version and headers]]`."""
    words = statement.words[2:]
    method, path, rest = "OPTIONS", "/", ""
    if len(words) == 1:
        path = words[0]
    elif words:
        method, path, rest = words[0], words[1], " ".join(words[2:])
    asking.fields |= {"check": "http", "path": path}
    if found := HOST.search(rest):
        asking.fields["host"] = found[1]
    asking.method = method


def _http_check(asking: _Asking, statement: Statement) -> None:
    word, rest = statement.words[1:2], statement.words[2:]
    if word == ("send",):
        _send(asking, statement, rest)
    elif word == ("expect",):
        _expect(asking, statement, rest)
    elif word == ("connect",):
        _connect(asking, statement, rest)
    elif word not in (("send-state",), ("comment",)):
        asking.lost(statement)


def _send(asking: _Asking, statement: Statement, words: Sequence[str]) -> None:
    """Read `http-check send [meth GET] [uri /x] [ver HTTP/1.1] [hdr NAME VALUE]...`."""
    pairs = dict(itertools.pairwise(words))
    if "uri" in pairs:
        asking.fields["path"] = pairs["uri"]
    asking.method = pairs.get("meth", asking.method)
    for place, word in enumerate(words):
        name, value = [*words[place + 1 : place + 3], "", ""][:2]
        if word == "hdr" and name.lower() == "host" and value:
            asking.fields["host"] = value
        elif word == "hdr":
            asking.lost(statement, f"no header {name or 'without a name'} is sent")
        elif word in ("body", "body-lf", "uri-lf"):
            asking.lost(statement, f"no {word} is sent")


def _expect(asking: _Asking, statement: Statement, words: Sequence[str]) -> None:
    """Read `http-check expect status 200-299` or `string TEXT`."""
    kind = words[0] if words else ""
    if kind == "status" and len(words) == 2 and all(map(SPAN.fullmatch, words[1].split(","))):
        asking.fields["status"] = words[1]
    elif kind == "string" and len(words) == 2:
        asking.fields |= {"body": words[1], "status": "100-599"}
    else:
        asking.lost(statement, "only `status` and `string` can be expected: 200-399 is")


def _connect(asking: _Asking, statement: Statement, words: Sequence[str]) -> None:
    """Read `connect [port N] [ssl] [sni NAME] ...` of both kinds."""
    pairs = dict(itertools.pairwise(words))
    if "port" in pairs:
        asking.fields["port"] = units.number(pairs["port"], 1, 65535)
    if "ssl" in words and asking.fields["check"] == "http":
        asking.fields["check"] = "https"
    elif "ssl" in words:
        asking.lost(statement, CONNECTS)
    if "sni" in pairs and asking.fields["check"] == "https":
        asking.fields.setdefault("host", pairs["sni"])
    for word in {"addr", "send-proxy", "via-socks4", "alpn", "proto"} & set(words):
        asking.lost(statement, f"checks have no {word}")


def _of_servers(asking: _Asking, servers: Sequence[Server]) -> None:
    """Read what the lines of servers say of their checks."""
    fields, first = asking.fields, servers[0]
    for word in ("inter", "rise", "fall", "port", "check-ssl", "check-sni", "verify"):
        for server in servers[1:]:
            other, one = server.options.get(word), first.options.get(word)
            if (other and other.value) != (one and one.value):
                line, what = (other.line, f"{word} {other.value}") if other else (server.line, word)
                asking.remarks.differs(line, what.strip(), ONE)
    _numbers(asking, first)
    if "check-ssl" in first.options and fields["check"] == "http":
        fields |= {"check": "https", "verify": False}
    if fields["check"] == "https":
        fields["verify"] = "verify" in first.options and first.options["verify"].value == "required"
        if "check-sni" in first.options:
            fields.setdefault("host", first.options["check-sni"].value)
    if "inter" in first.options:
        asking.fields["interval"] = _seconds(asking, *first.options["inter"])


def _numbers(asking: _Asking, server: Server) -> None:
    for word, most in (("rise", 100), ("fall", 100), ("port", 65535)):
        if word in server.options:
            line, text = server.options[word]
            number = units.number(text, 1, most)
            if number is None:
                asking.remarks.not_taken(line, f"{word} {text}", f"it must be 1 to {most}")
            else:
                asking.fields[word] = number


def _seconds(asking: _Asking, line: int, text: str) -> float:
    found = units.seconds(text)
    if found is None:
        asking.remarks.not_taken(line, f"inter {text}", "it is no time")
        return INTERVAL
    return units.within(round(found, 3), 0.05, 3600)


def _timing(asking: _Asking) -> None:
    """An answer may take as long as the interval, unless `timeout check` says less."""
    interval = asking.fields.setdefault("interval", INTERVAL)
    said = asking.section.last("timeout", "check")
    timeout = units.seconds(said.words[2]) if said and len(said.words) > 2 else None
    if said and timeout is None:
        asking.lost(said, "it is no time")
    if said and timeout is not None and timeout > interval:
        why = f"a check ends before the next one begins: {interval:g} s"
        asking.remarks.differs(said.line, said.text, why)
    limit = interval if timeout is None else min(timeout, interval)
    asking.fields["timeout"] = units.within(round(limit, 3), 0.05, 3600)
