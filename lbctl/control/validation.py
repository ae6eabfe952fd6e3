"""
Validation: say in one line which value of a request or file cannot be right, and why.

Takes the errors that pydantic lists and turns them into the words of a `UsageError`.
"""

from __future__ import annotations

from reprlib import Repr
from typing import TYPE_CHECKING, Any

from lbctl.errors import UsageError
from lbctl.model import NAME
from lbctl.model.processors import PROCESSOR_NAME
from lbctl.model.programs import APP_NAME, PSEUDO_NAME

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SHOWN = 60  # characters of a wrong value that are worth repeating
SHORT = Repr()  # never writes out more of a value than it shows
SHORT.maxstring = SHORT.maxother = SHORT.maxlong = 2 * SHOWN
DEMANDS = {  # kinds of errors that pydantic describes in the words of Python
    "tuple_type": "a list",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "bool_parsing": "true or false",
    "string_type": "a text",
    "float_type": "a number",
    "float_parsing": "a number",
}
# Patterns of names, and how long one may be; some of them are the same.
NAMES = {NAME: 63, APP_NAME: 63, PROCESSOR_NAME: 31, PSEUDO_NAME: 13}
SENTENCES = {
    "missing": "is missing",
    "extra_forbidden": "there is no such key; check its spelling",
}
PLACES = {"body", "query", "path", "header"}  # what FastAPI puts before the field
CHECK = "health"  # the field of a value that has several forms, told apart by a tag
ONE, SEVERAL = "<one>", "<several>"  # tags of a body that has two forms; pydantic names them, too


def usage_error(errors: Sequence[Mapping[str, Any]]) -> UsageError:
    """Make one line of the first of pydantic's *errors*, and say how many there are."""
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return UsageError(f"{_describe(errors[0])}{more}")


def _describe(error: Mapping[str, Any]) -> str:
    field = _field(error["loc"])
    text = _text(error)
    return f"{field}: {text}" if field else text


def _field(location: Sequence[str | int]) -> str:
    """Write where it is as people do: ``pools[0].backends[1].weight``."""
    parts = location[1:] if location and location[0] in PLACES else location
    parts = parts[1:] if parts and parts[0] in (ONE, SEVERAL) else parts
    # What pydantic adds are the tag of a form, and the types that a value might have had.
    forms = {place + 1 for place, part in enumerate(parts) if part == CHECK}
    forms |= {place for place, part in enumerate(parts) if "[" in str(part)}
    parts = [part for place, part in enumerate(parts) if place not in forms]
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.removeprefix(".")


def _text(error: Mapping[str, Any]) -> str:
    kind, message, context = error["type"], str(error["msg"]), error.get("ctx", {})
    if kind == "json_invalid":
        return f"not valid JSON: {context.get('error', message)}"
    if kind in SENTENCES:
        return SENTENCES[kind]
    if kind.startswith("union_tag"):
        return _form(context)
    if kind == "value_error":  # raised by the model, in its own words
        return message.removeprefix("Value error, ")
    shown = _shown(error.get("input"))
    if most := NAMES.get(context.get("pattern", "")):
        return f"{shown} is not a name; use at most {most} letters, digits, '.', '_' and '-'"
    demand = DEMANDS.get(kind) or message.removeprefix("Input should be ")
    start = "must be " if demand != message else ""
    return f"{start}{demand[0].lower()}{demand[1:]}, not {shown}"


def _form(context: Mapping[str, Any]) -> str:
    """What is wrong with the tag that tells the forms of a value apart."""
    tag = context["discriminator"].strip("'")
    if "tag" not in context:
        return f"{tag} is missing"
    return f"{tag} must be one of {context['expected_tags']}, not {_shown(context['tag'])}"


def _shown(value: object) -> str:
    text = SHORT.repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
