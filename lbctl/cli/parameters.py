"""
The parameters: read the words of the command line as values of the model, or say what is wrong.

The model is imported when the first word is read: that costs more than the rest of `lbctl`.
"""

from __future__ import annotations

import math
import os
import re
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from lbctl.errors import LbctlError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from enum import StrEnum

    from lbctl.model import Backend

    Base = click.ParamType[Any]
else:
    Base = click.ParamType  # no generic before click 8.4

NICS = "/sys/class/net"


class Shown(Base):
    """A parameter that help shows as *metavar*."""

    def __init__(self, metavar: str) -> None:
        self.name = metavar.lower()
        self.metavar = metavar

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """What help shows in place of a value; click adds brackets and dots."""
        del param, ctx
        return self.metavar


class Parsed(Shown):
    """A word that one class of the model can parse."""

    def __init__(self, metavar: str, kind: str) -> None:
        super().__init__(metavar)
        self.kind = kind

    def convert(
        self,
        value: object,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> object:
        """Parse the word with the model."""
        from lbctl import model  # noqa: PLC0415

        try:
            return getattr(model, self.kind).parse(value)
        except ValueError as err:
            self.fail(str(err), param, ctx)


class Client(Shown):
    """An address, or an address and a port."""

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> object:
        """Parse the word; an IPv6 address needs no brackets where no port follows."""
        with suppress(ValueError):
            return ip_address(value.removeprefix("[").removesuffix("]"))
        return SERVER.convert(value, param, ctx)


class Interface(Shown):
    """An address of an interface, with the length of its prefix, if it is not a host's own."""

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read the word as the model does; gives how the API writes it."""
        from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415

        from lbctl.control.validation import usage_error  # noqa: PLC0415
        from lbctl.model import InterfaceText  # noqa: PLC0415

        try:
            return str(TypeAdapter(InterfaceText).validate_python(value))
        except ValidationError as err:
            self.fail(str(usage_error(err.errors())), param, ctx)


class Server(Shown):
    """A back-end with its weight."""

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> Backend:
        """Read ``ADDR:PORT`` and, after a comma, ``weight=N``."""
        from pydantic import ValidationError  # noqa: PLC0415

        from lbctl.control.validation import usage_error  # noqa: PLC0415
        from lbctl.model import Backend  # noqa: PLC0415

        address, comma, rest = value.partition(",")
        key, _, weight = rest.partition("=")
        if comma and (key != "weight" or not weight.isdecimal()):
            self.fail(f"{value!r}: after the comma only weight=N can stand", param, ctx)
        fields: dict[str, object] = {"weight": int(weight)} if comma else {}
        try:
            return Backend.model_validate({"address": address, **fields})
        except ValidationError as err:
            self.fail(str(usage_error(err.errors())), param, ctx)


class Member(Base):
    """One value of an enumeration of the model."""

    name = "choice"

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def _members(self) -> Sequence[StrEnum]:
        from lbctl import model  # noqa: PLC0415

        return tuple(getattr(model, self.kind))

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """Every choice."""
        del param, ctx
        return f"[{'|'.join(self._members())}]"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Find the choice."""
        if value not in self._members():
            self.fail(f"{value!r} is not one of {', '.join(self._members())}", param, ctx)
        return value

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer the choices."""
        del ctx, param
        return starting(self._members(), incomplete)


class SchedulerName(Member):
    """A scheduler of ours or a plugin; which of those there are the daemon knows."""

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """Every choice of ours, and that there may be others."""
        return super().get_metavar(param, ctx).replace("]", "|PLUGIN]")

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Read the name."""
        from lbctl.model.pools import PLUGIN  # noqa: PLC0415

        if not re.fullmatch(PLUGIN, value):
            known = ", ".join(self._members())
            self.fail(f"{value!r} is not one of {known}, nor the name of a plugin", param, ctx)
        return value


class Number(click.FloatRange):
    """A number in a range; NaN and infinity are none."""

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> float:
        """Read the number."""
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a number", param, ctx)
        return number


class NumberOr(Shown):
    """A number in a range, or the one *word* that stands for none."""

    def __init__(self, word: str, least: int, most: int) -> None:
        super().__init__(f"N|{word}")
        self.word = word
        self.numbers = click.IntRange(least, most)

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> int | str:
        """Read the number, or leave the word."""
        if value == self.word:
            return self.word
        number: int = self.numbers(value, param, ctx)
        return number


class Known(Shown):
    """
    A thing, by name; whether it exists the daemon knows.

    *method*: of the client, which lists them.
    """

    def __init__(self, metavar: str, method: str) -> None:
        super().__init__(metavar)
        self.method = method

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer those there are, if a daemon answers."""
        del param
        from lbctl.cli.client import connect  # noqa: PLC0415

        root = ctx.find_root()
        with suppress(LbctlError):
            client = root.obj or connect(root.params["name"], root.params["socket"], patience=1)
            return starting((row["name"] for row in getattr(client, self.method)()), incomplete)
        return []


class NicName(Shown):
    """A NIC, by name; whether it exists the daemon knows."""

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer the NICs of this network namespace."""
        del ctx, param
        with suppress(OSError):
            return starting(sorted(os.listdir(NICS)), incomplete)  # noqa: PTH208 - names only
        return []


def starting(words: Iterable[str], incomplete: str) -> list[CompletionItem]:
    """Offer those of *words* that begin so."""
    return [CompletionItem(word) for word in words if word.startswith(incomplete)]


POOL = Known("POOL", "pools")
BACKUP = Known("POOL|none", "pools")
APP = Known("APP", "apps")
PSEUDO = Known("NAME", "pseudo_interfaces")
SCHEDULER = SchedulerName("Scheduler")
NEW = Shown("NAME")
NIC = NicName("IFACE")
NIC_OR_ALL = NicName("IFACE|all")
QUEUE_OR_ALL = NumberOr("all", 0, 63)
MTU_OR_AUTO = NumberOr("auto", 1280, 65535)
VIP = Parsed("ADDR:PORT/PROTO", "Vip")
SERVER = Parsed("ADDR:PORT", "SocketAddress")
WEIGHTED_SERVER = Server("ADDR:PORT[,weight=N]")
CLIENT = Client("ADDR[:PORT]")
INTERFACE = Interface("ADDR[/LENGTH]")
