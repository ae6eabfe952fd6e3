"""
The document: read the YAML form of a configuration, and say on which line it is wrong.

Slow to import (YAML and the model): commands do so when they have a file to read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from lbctl.control.validation import usage_error
from lbctl.errors import LbctlError, UsageError
from lbctl.model import Configuration

if TYPE_CHECKING:
    from collections.abc import Iterator

    Place = tuple[str | int, ...]

# The loader in C is ten times as fast; it comes with most builds.
Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
DEPTH = 50
QUOTE = "; if that is an IPv6 address in brackets, put it in quotes"
PATH = re.compile(r"(?P<path>[a-z_]+(\.[a-z_]+|\[[0-9]+\])+): ")


@dataclass(frozen=True, slots=True)
class Document:
    """A valid configuration, and where it stands in its file."""

    name: str
    configuration: dict[str, Any]
    lines: Mapping[Place, int]

    @contextmanager
    def lines_in_errors(self) -> Iterator[None]:
        """Add the line to errors of the daemon that name a place."""
        try:
            yield
        except LbctlError as err:
            found = PATH.match(str(err))
            if not found:
                raise
            steps = re.findall(r"[a-z_]+|[0-9]+", found["path"])
            place = tuple(int(step) if step.isdecimal() else step for step in steps)
            raise type(err)(f"{self.name}: {_line(self.lines, place)}{err}") from err


def load(stream: IO[bytes]) -> Document:
    """Read a document.  Raises UsageError with name, line and what is wrong there."""
    name = getattr(stream, "name", "<stdin>")
    name = "standard input" if name == "<stdin>" else str(name)
    lines: dict[Place, int] = {}
    try:
        data = _read(stream.read(), lines)
    except yaml.YAMLError as err:
        raise UsageError(f"{name}: {_syntax(err)}") from err
    except UsageError as err:
        raise UsageError(f"{name}: {err}") from err
    try:
        configuration = Configuration.model_validate(data)
    except ValidationError as err:
        errors = err.errors()
        line = _line(lines, errors[0]["loc"])
        raise UsageError(f"{name}: {line}{usage_error(errors)}") from err
    return Document(name, configuration.model_dump(mode="json"), lines)


def schema() -> dict[str, Any]:
    """The JSON Schema of the YAML form."""
    return Configuration.model_json_schema()


def _read(raw: bytes, lines: dict[Place, int]) -> object:
    _refuse_depth(raw)
    loader = Loader(raw)
    try:
        node = loader.get_single_node()
        if node is None:
            raise UsageError("is empty; `lbctl export` shows what a configuration looks like")
        _note_lines(node, (), lines, set())
        return loader.construct_document(node)
    finally:
        loader.dispose()


def _refuse_depth(raw: bytes) -> None:
    """Refuse what would take the loader to the end of its stack, and the process with it."""
    depth = 0
    for event in yaml.parse(raw, Loader=Loader):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH:
            raise UsageError(f"nested more than {DEPTH} deep; a configuration never is")


def _note_lines(
    node: yaml.Node, place: Place, lines: dict[Place, int], seen: set[yaml.Node]
) -> None:
    """
    Note where every value begins; a key that comes twice would silently hide the first.

    What an alias repeats is gone through once: it may contain itself.
    """
    lines.setdefault(place, node.start_mark.line + 1)
    if node in seen:
        return
    seen.add(node)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            line, here = key.start_mark.line + 1, (*place, str(key.value))
            if not isinstance(key, yaml.ScalarNode):
                raise UsageError(f"line {line}: a key must be a word{QUOTE}")
            if here in lines:
                raise UsageError(
                    f"line {line}: {key.value!r} stands there twice, first on line {lines[here]}"
                )
            lines[here] = line
            _note_lines(value, here, lines, seen)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            _note_lines(value, (*place, number), lines, seen)


def _line(lines: Mapping[Place, int], place: Place) -> str:
    """Name the line of *place*, or of the nearest thing around it."""
    while place and place not in lines:
        place = place[:-1]
    return f"line {lines[place]}: " if place in lines else ""


def _syntax(err: yaml.YAMLError) -> str:
    """Say where the text stops being YAML."""
    if not isinstance(err, yaml.MarkedYAMLError):
        return f"not YAML: {' '.join(str(err).split())}"
    mark = err.problem_mark or err.context_mark
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    hint = QUOTE if isinstance(err, yaml.parser.ParserError) else ""
    return f"{where}{err.problem or 'not YAML'}{hint}"
