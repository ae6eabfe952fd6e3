"""
The wire: write and read what a load agent says, in one sealed form for HTTP and UDP.

Sealed is the hex HMAC-SHA256 of the body (RFC 2104), a newline, the body as JSON.  Both ends use
this module.  It reads hostile bytes and believes nothing: whatever it hands out has the types and
the ranges of LoadReport.  It never opens a socket and never looks at a clock.
"""

from __future__ import annotations

import hmac
import json
import os
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from lbctl.errors import NotFound, NotPermitted, UsageError

MAX_BYTES = 16384  # of a sealed statement
MAX_REASON = 200  # characters
MAX_PORTS = 256  # ports whose connections are told
MIN_KEY, MAX_KEY = 16, 4096  # bytes
SIGNATURE_BYTES = 64  # SHA-256 in hex
NONCE = re.compile(r"[0-9a-f]{16,64}")
NAME = re.compile(r"[\x21-\x7e]{1,100}")

# The most that a figure can be and still be a figure; the least is always 0.
LIMITS: Mapping[str, float] = {
    "cpu": 1000.0,
    "memory": 1.0,
    "utilization": 1000.0,
    "requests_per_second": 1e9,
    "execution_seconds": 1e6,
    "weight": 1000.0,
}
NO_FILE = "a key is a file; `lbctl-agent key --output FILE` makes one"
MAX_COUNT = 2**32 - 1  # clients, connections
MAX_TIME = 1e11  # unix seconds


class BadReport(ValueError):
    """What arrived is no statement of an agent; one line says why."""


class Wish(StrEnum):
    """What the server asks for itself, in the words of HAProxy's agent check."""

    UP = "up"
    DRAIN = "drain"  # no new connections
    MAINT = "maint"  # the same, and an administrator wants it
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class LoadReport:
    """How busy a server is; None is "not told"."""

    cpu: float | None = None  # part of the machine's or cgroup's CPU in use, 0 to 1, may exceed 1
    memory: float | None = None  # part in use, 0 to 1
    utilization: float | None = None  # the application's own figure, 0 to 1, may exceed 1
    clients: int | None = None  # clients being served now
    requests_per_second: float | None = None
    execution_seconds: float | None = None  # mean execution time of a request
    connections: Mapping[int, int] = field(default_factory=dict)  # established, by local port
    weight: float | None = None  # factor on the configured weight that the agent asks for
    wish: Wish | None = None
    reason: str = ""  # why it wishes that; one line, printable


class Statement(NamedTuple):
    """A report, who makes it and when."""

    agent: str  # ADDR:PORT, as the switch's configuration names it
    time: float  # unix seconds, by the agent's clock
    nonce: str  # hex: the asker's (pull), or random (push)
    report: LoadReport


def new_nonce() -> str:
    """Make a nonce that nobody can guess."""
    return secrets.token_hex(16)


# -- reports -----------------------------------------------------------------------------------


def encode_report(report: LoadReport) -> dict[str, Any]:
    """Make what JSON can say of *report*; what is not told is left out."""
    data: dict[str, Any] = {name: getattr(report, name) for name in (*LIMITS, "clients")}
    data["wish"] = report.wish and report.wish.value
    data["reason"] = report.reason or None
    data["connections"] = {str(port): n for port, n in report.connections.items()} or None
    return {name: value for name, value in data.items() if value is not None}


def decode_report(data: object) -> LoadReport:
    """
    Read what `encode_report` made.  Unknown keys are ignored: they may be a newer agent's.

    Raises BadReport for everything that is not a LoadReport in the ranges of its fields.
    """
    fields = _object(data, "the report")
    figures = {name: _figure(name, fields.get(name), most) for name, most in LIMITS.items()}
    clients, wish = fields.get("clients"), fields.get("wish")
    return LoadReport(
        **figures,
        clients=None if clients is None else _count("clients", clients),
        connections=_connections(fields.get("connections")),
        wish=None if wish is None else _wish(wish),
        reason=_reason(fields.get("reason")),
    )


def _object(data: object, what: str) -> dict[str, object]:
    if not isinstance(data, dict):
        raise BadReport(f"{what} is not a JSON object")
    return data


def _figure(name: str, value: object, most: float) -> float | None:
    """Check a number; bool is an int to Python and NaN is never within a range."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise BadReport(f"{name} is not a number from 0 to {most:g}: {_short(value)}")
    return float(value)


def _count(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_COUNT:
        raise BadReport(f"{name} is not a whole number from 0 to {MAX_COUNT}: {_short(value)}")
    return value


def _connections(value: object) -> dict[int, int]:
    if value is None:
        return {}
    counts = _object(value, "connections")
    if len(counts) > MAX_PORTS:
        raise BadReport(f"connections names {len(counts)} ports; {MAX_PORTS} is the most")
    return {_port(port): _count("connections", count) for port, count in counts.items()}


def _port(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,4}", text) or int(text) > 65535:
        raise BadReport(f"connections names no port from 1 to 65535: {_short(text)}")
    return int(text)


def _wish(value: object) -> Wish:
    try:
        return Wish(value)  # type: ignore[arg-type]  # that is the question
    except ValueError:
        raise BadReport(f"wish is not one of {', '.join(Wish)}: {_short(value)}") from None


def _reason(value: object) -> str:
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > MAX_REASON or not value.isprintable():
        raise BadReport(f"reason is not a printable line of up to {MAX_REASON} characters")
    return value


def _short(value: object) -> str:
    """Show a refused value in a few characters; ascii() keeps control characters out of logs."""
    if isinstance(value, int) and value.bit_length() > 128:  # may be too long to be written
        return "a huge number"
    return ascii(value)[:60] if isinstance(value, str | int | float) else type(value).__name__


# -- sealed statements -------------------------------------------------------------------------


def sign(key: bytes, body: bytes) -> str:
    """Give the hex HMAC-SHA256 of *body*."""
    return hmac.digest(key, body, "sha256").hex()


def seal(key: bytes, statement: Statement) -> bytes:
    """
    Write *statement* in its sealed form.

    Raises BadReport for what `open_` would refuse: an agent never sends that.
    """
    agent, time, nonce, report = statement
    fields = {"agent": agent, "time": time, "nonce": nonce, "report": encode_report(report)}
    _statement(fields)
    body = json.dumps(fields, separators=(",", ":"), allow_nan=False).encode()
    sealed = sign(key, body).encode() + b"\n" + body
    if len(sealed) > MAX_BYTES:
        raise BadReport(f"the statement has {len(sealed)} bytes; {MAX_BYTES} is the most")
    return sealed


def open_(key: bytes, data: bytes) -> Statement:
    """
    Read a sealed statement; the signature is checked before anything else is looked at.

    Whether it is fresh is the caller's to judge, by nonce or time.  Raises BadReport.
    """
    if len(data) > MAX_BYTES:
        raise BadReport(f"the statement has more than {MAX_BYTES} bytes")
    signature, newline, body = data[:SIGNATURE_BYTES], data[SIGNATURE_BYTES:][:1], data[65:]
    if newline != b"\n":
        raise BadReport("this is not a signature, a newline and a body")
    if not hmac.compare_digest(sign(key, body).encode(), signature):
        raise BadReport("the signature does not match; have both sides the same key?")
    try:
        fields = json.loads(body.decode(), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as err:
        raise BadReport(f"the body is not JSON: {type(err).__name__}") from None
    return _statement(fields)


def _statement(data: object) -> Statement:
    fields = _object(data, "the statement")
    agent, nonce = fields.get("agent"), fields.get("nonce")
    if not isinstance(agent, str) or not NAME.fullmatch(agent):
        raise BadReport(f"agent is not 1 to 100 printable characters: {_short(agent)}")
    if not isinstance(nonce, str) or not NONCE.fullmatch(nonce):
        raise BadReport(f"nonce is not 16 to 64 hex digits: {_short(nonce)}")
    time = _figure("time", fields.get("time"), MAX_TIME)
    if time is None:
        raise BadReport("time is missing")
    return Statement(agent, time, nonce, decode_report(fields.get("report")))


def _refuse_constant(text: str) -> NoReturn:
    raise BadReport(f"the body has {text}, which is not JSON")


# -- keys --------------------------------------------------------------------------------------


def not_waiting(path: str, flags: int) -> int:
    """Open a file as `open` wants it, but never wait for the writer of a FIFO."""
    return os.open(path, flags | os.O_NONBLOCK)


def read_key(path: str | os.PathLike[str]) -> bytes:
    """
    Read the key that agent and switch share, without the white space around it.

    Raises NotFound, NotPermitted, or UsageError for a key that others know or can guess.
    """
    path = Path(path)
    try:
        with open(path, "rb", opener=not_waiting) as file:
            _require_secret(path, os.fstat(file.fileno()).st_mode)
            key = file.read(MAX_KEY + 1).strip()
    except FileNotFoundError:
        raise NotFound(
            f"{path}: no such key; `lbctl-agent key --output {path}` makes one"
        ) from None
    except IsADirectoryError:
        raise UsageError(f"{path}: {NO_FILE}") from None
    except OSError as err:
        raise NotPermitted(f"{path}: {err.strerror}; run as a user who may read the key") from None
    if not MIN_KEY <= len(key) <= MAX_KEY:
        raise UsageError(
            f"{path}: the key has {len(key)} bytes, not {MIN_KEY} to {MAX_KEY}; "
            f"`lbctl-agent key --output {path}` makes one"
        )
    return key


def _require_secret(path: Path, mode: int) -> None:
    """Refuse what others can read; the group may: systemd's credentials look so."""
    if not stat.S_ISREG(mode):
        raise UsageError(f"{path}: {NO_FILE}")
    if mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise UsageError(f"{path}: others can read or change this key; `chmod 600 {path}`")
