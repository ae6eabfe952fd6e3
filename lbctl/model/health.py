"""
The health of a pool, as the administrator wants it watched: checks, and what passive ones look for.

What a check found is not here: that is the control processor's to know.
"""

from __future__ import annotations

import re
import shlex
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from lbctl.model.base import Model

STATUS = re.compile(r"[1-5][0-9]{2}(-[1-5][0-9]{2})?")
Seconds = Annotated[float, Field(ge=0.05, le=3600)]


class Check(Model):
    """What all kinds of checks have in common; times in seconds."""

    PORTLESS: ClassVar[bool] = False

    interval: Seconds = 2.0
    timeout: Seconds = 1.0
    rise: int = Field(default=2, ge=1, le=100)  # successes in a row that bring a server back
    fall: int = Field(default=3, ge=1, le=100)  # failures in a row that take it out
    jitter: float = Field(default=0.1, ge=0, le=0.5)  # share of the interval
    port: int | None = Field(default=None, ge=1, le=65535)  # None: the back-end's
    to_vip: bool = False  # ask for the VIP, sent to that server: for dsr

    @model_validator(mode="after")
    def _timely(self) -> Self:
        if self.timeout > self.interval:
            raise ValueError(
                f"timeout {self.timeout:g} is longer than interval {self.interval:g}; "
                f"a check must end before the next one begins"
            )
        return self


class TcpCheck(Check):
    """A connection can be opened."""

    check: Literal["tcp"] = "tcp"


class HttpCheck(Check):
    """A request is answered with one of these statuses and, where given, this text."""

    check: Literal["http", "https"] = "http"
    path: str = Field(default="/", pattern=r"^/[\x21-\x7e]*$")
    host: str | None = Field(default=None, pattern=r"^[\x21-\x7e]+$")  # header Host, and SNI
    status: str = "200-399"  # "200", "200-299,404"
    body: str | None = Field(default=None, min_length=1, max_length=1000)
    verify: bool = False  # the certificate, against the system's authorities

    @field_validator("status")
    @classmethod
    def _statuses(cls, text: str) -> str:
        for part in text.split(","):
            first, _, last = part.partition("-")
            if not STATUS.fullmatch(part) or (last and int(first) > int(last)):
                raise ValueError(f"{text!r} is not like 200-399 or 200,204")
        return text

    def accepts(self, status: int) -> bool:
        """Whether a server that answers with *status* is well."""
        spans = (part.partition("-") for part in self.status.split(","))
        return any(int(first) <= status <= int(last or first) for first, _, last in spans)


class UdpCheck(Check):
    r"""
    A datagram is answered, with this where given; `\xNN \n \r \t \0 \\` stand for bytes.

    With neither, an empty datagram only asks whether the port is closed: silence counts as well,
    also that of a dead host.
    """

    check: Literal["udp"] = "udp"
    send: str = Field(default="", max_length=1000)
    expect: str | None = Field(default=None, max_length=1000)  # somewhere in the answer


class IcmpCheck(Check):
    """The host answers a ping."""

    PORTLESS: ClassVar[bool] = True

    check: Literal["icmp"] = "icmp"


class GrpcCheck(Check):
    """The service says SERVING by the gRPC health protocol, version 1."""

    check: Literal["grpc"] = "grpc"
    service: str = Field(default="", max_length=200)  # "": the server as a whole


class ScriptCheck(Check):
    """A program exits with 0; LBCTL_ADDRESS, LBCTL_PORT, LBCTL_POOL tell it who is meant."""

    check: Literal["script"] = "script"
    command: str = Field(pattern=r"^/\S.*$")  # absolute; words are split as a shell does

    @field_validator("command")
    @classmethod
    def _words(cls, text: str) -> str:
        try:
            shlex.split(text)
        except ValueError as err:
            raise ValueError(f"{text!r} cannot be split into words: {err}") from None
        return text


AnyCheck = Annotated[
    TcpCheck | HttpCheck | UdpCheck | IcmpCheck | GrpcCheck | ScriptCheck,
    Field(discriminator="check"),
]


class Passive(Model):
    """
    What the data path sees: SYNs that stay unanswered, and refusals.

    A server of which *failures* connections and *ratio* of all within *window* seconds came to
    nothing gets no new ones for *inhibit* seconds; each time anew twice as long, to *inhibit_max*.
    """

    failures: int = Field(default=5, ge=1, le=1_000_000)
    ratio: float = Field(default=0.5, gt=0, le=1)
    window: Seconds = 2.0
    inhibit: float = Field(default=5.0, ge=1, le=86400)
    inhibit_max: float = Field(default=3600.0, ge=1, le=86400)

    @model_validator(mode="after")
    def _growing(self) -> Self:
        if self.inhibit_max < self.inhibit:
            raise ValueError(
                f"inhibit_max {self.inhibit_max:g} is less than inhibit {self.inhibit:g}"
            )
        return self
