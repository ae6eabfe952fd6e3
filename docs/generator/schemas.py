"""The schemas: what a JSON Schema says of a value, in a few words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from generator import text

Schema = Mapping[str, Any]

WORDS = {
    "string": "text",
    "integer": "integer",
    "number": "number",
    "boolean": "true or false",
    "null": "null",
}


def name_of(schema: Schema) -> str:
    """The name of what a schema refers to; what goes in and what comes out is one to a reader."""
    return bare(str(schema["$ref"]).rsplit("/", 1)[-1])


def bare(name: str) -> str:
    """A name without the suffixes by which FastAPI tells in and out apart."""
    return name.removesuffix("-Input").removesuffix("-Output")


@dataclass(frozen=True)
class Types:
    """
    The types of one document.

    *definitions*: its schemas by name.  *links*: where a reader finds those that have a heading.
    """

    definitions: Schema
    links: Mapping[str, str]

    def words(self, schema: Schema) -> str:
        """The type of a value; what has a heading of its own is a link to it."""
        if "$ref" in schema:
            return self._reference(name_of(schema))
        if several := schema.get("anyOf") or schema.get("oneOf"):
            found = [self.words(each) for each in several]
            return " or ".join(dict.fromkeys(found))
        if "const" in schema or "enum" in schema:
            return text.choices(schema.get("enum") or [schema["const"]])
        kind = str(schema.get("type"))
        if kind in ("array", "object"):
            return self._array(schema) if kind == "array" else self._mapping(schema)
        return WORDS.get(kind, "any")

    def _reference(self, name: str) -> str:
        if name in self.links:
            return f"[{name}]({self.links[name]})"
        found = {bare(key): schema for key, schema in self.definitions.items()}[name]
        return self.words(found) if "enum" in found or "const" in found else name

    def _mapping(self, schema: Schema) -> str:
        values = schema.get("additionalProperties")
        return f"mapping to {self.words(values)}" if isinstance(values, dict) else "mapping"

    def _array(self, schema: Schema) -> str:
        if "prefixItems" in schema:
            return f"list: {', '.join(self.words(each) for each in schema['prefixItems'])}"
        return f"list of {self.words(schema.get('items', {}))}"


def limits(schema: Schema) -> str:
    """The range of a number, or of one that may also be left out."""
    for each in (schema, *schema.get("anyOf", ())):
        least = each.get("minimum", each.get("exclusiveMinimum"))
        if least is not None and least != each.get("maximum", least):
            above = "above " if "exclusiveMinimum" in each else ""
            return f", {above}{int_or(least)} to {int_or(each['maximum'])}"
    return ""


def int_or(number: float) -> str:
    """A number without a needless fraction."""
    return str(int(number)) if number == int(number) else str(number)
