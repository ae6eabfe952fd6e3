"""
The keyed words: read `KIND,key=value,...` as values of the model, and write them so.

What is read becomes plain data with the keys that were given, as the API takes it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lbctl.cli.parameters import Shown, starting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import click
    from click.shell_completion import CompletionItem

    Row = dict[str, Any]

NONE = "none"  # what removes a check, passive checks, a backup or all rules
ON = "on"
COMMA = re.compile(r"(?<!\\),")  # one that does not belong to a value


def pairs(text: str) -> dict[str, str]:
    r"""
    Split `key=value,...`; a comma in a value is written `\,`, a hyphen in a key may be `_`.

    Raises ValueError with one line.
    """
    fields: dict[str, str] = {}
    for part in COMMA.split(text):
        key, equals, value = part.partition("=")
        key = key.replace("-", "_")
        if not equals or not key:
            raise ValueError(rf"{part!r} is not KEY=VALUE; a comma in a value is written \,")
        if key in fields:
            raise ValueError(f"{key} stands there twice")
        fields[key] = value.replace(r"\,", ",")
    return fields


def written(fields: Mapping[str, object]) -> str:
    """Write *fields* as `pairs` reads them; what is None is left out."""
    return ",".join(f"{key}={_text(value)}" for key, value in fields.items() if value is not None)


def check_text(fields: Mapping[str, object]) -> str:
    """Write a check as `--check` takes it."""
    return written(fields).removeprefix("check=")


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).replace(",", r"\,")


class Keyed(Shown):
    """`key=value,...` for the value *kind* of the model; *words* stand for data of their own."""

    def __init__(self, metavar: str, kind: str, **words: object) -> None:
        super().__init__(metavar)
        self.kind = kind
        self.words = words

    def fields(self, value: str) -> Row:
        """What the word says.  Raises ValueError."""
        return {**pairs(value)}

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> object:
        """Read the word; gives plain data, or what stands for it."""
        from pydantic import TypeAdapter, ValidationError  # noqa: PLC0415

        from lbctl import model  # noqa: PLC0415
        from lbctl.control.validation import usage_error  # noqa: PLC0415

        if value in self.words:
            return self.words[value]
        try:
            made = TypeAdapter(getattr(model, self.kind)).validate_python(self.fields(value))
        except ValidationError as err:
            self.fail(str(usage_error(err.errors())), param, ctx)
        except ValueError as err:
            self.fail(str(err), param, ctx)
        return made.model_dump(mode="json", exclude_unset=True)


class Check(Keyed):
    """A check: its kind, and what is not as usual."""

    def fields(self, value: str) -> Row:
        """Read the kind as one more key.  Raises ValueError."""
        fields = pairs(f"check={value}")
        if fields["check"] not in _kinds():
            raise ValueError(f"{fields['check']!r} is not one of {', '.join(_kinds())}")
        return {**fields}

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Offer the kinds."""
        del ctx, param
        return starting((*_kinds(), *self.words), incomplete)


def _kinds() -> Sequence[str]:
    from lbctl.cli.defaults import CHECKS  # noqa: PLC0415

    return tuple(CHECKS)


CHECK = Check("KIND[,KEY=VALUE]...", "AnyCheck", **{NONE: NONE})
PASSIVE = Keyed("on|none|KEY=VALUE,...", "Passive", **{ON: {}, NONE: NONE})
BALANCE = Keyed("KEY=VALUE,...", "Balance")
RULE = Keyed("[clients=PREFIX,][port=N,]pool=NAME", "Rule", **{NONE: NONE})
