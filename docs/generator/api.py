"""The page of the API: every call of the OpenAPI document, by what it is about, and its models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from generator import configuration, text
from generator.schemas import Types, bare, limits
from lbctl.control.api import create_app

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lbctl.control.controller import Controller

    Schema = Mapping[str, Any]

INTRO = """\
HTTP and JSON, on the Unix socket `/run/lbctl/NAME.sock`; with `lbctld --listen` on TCP as well. The
same as this page, for programs, is at `/openapi.json`:

    curl --unix-socket /run/lbctl/default.sock http://lbctl/openapi.json

On the socket root and the group `lbctl` may ask. On TCP a request bears the token of
`--token-file`: `Authorization: Bearer TOKEN`.

Whoever changes something may say who they are, in the header `X-Lbctl-Who`; it stands in the
[history](commands.md#lbctl-generations). A change is done as a whole or not at all.

A request that is refused gets a [Problem](#problem), and nothing was changed: status 400 where the
words are wrong, 403, 404, 409 where something exists already or is in use, 422 otherwise. Its
`exit_code` is that of the [command line](commands.md#exit-status).

`/metrics` is not part of this: see [metrics and alerts](../monitoring/README.md)."""

TITLES = {
    "switch": "The switch",
    "pools": "Pools, VIPs and back-ends",
    "programs": "Programs on the switch",
    "cpu": "Processors",
    "traffic": "Packets and connections",
    "supervision": "Health and load",
    "explain": "Explain",
    "preflight": "Preflight",
}
JSON = "application/json"
WHO = "x-lbctl-who"


class Document:
    """The OpenAPI document, as pages see it."""

    def __init__(self) -> None:
        # The description needs no switch.
        found = create_app(cast("Controller", None)).openapi()
        self.paths: Schema = found["paths"]
        schemas = found["components"]["schemas"]
        self.schemas = {bare(name): schema for name, schema in schemas.items()}
        links = {
            name: f"configuration.md{configuration.LINKS[name]}"
            if name in configuration.LINKS
            else f"#{name.lower()}"
            for name, schema in self.schemas.items()
            if "properties" in schema
        }
        self.types = Types(self.schemas, links)

    def calls(self) -> Iterator[tuple[str, str, Schema]]:
        """Method, path and description of each call."""
        for path, methods in self.paths.items():
            for method, call in methods.items():
                yield method.upper(), path, call

    def models(self) -> Iterator[tuple[str, Schema]]:
        """What has members, and is not part of the configuration."""
        for name, schema in sorted(self.schemas.items()):
            if "properties" in schema and name not in configuration.LINKS:
                yield name, schema


def _schema(content: Schema) -> Schema | None:
    """What a body or an answer is; None if it is no JSON."""
    found = content.get("content", {}).get(JSON)
    return found["schema"] if found else None


def _call(document: Document, method: str, path: str, call: Schema) -> str:
    """One call: what it does, what it takes, what it answers."""
    parts = [f"### {method} {path}", text.paragraphs(call["description"])]
    rows = [
        (
            text.code(each["name"]),
            each["in"],
            document.types.words(each["schema"]).replace(" or null", "") + limits(each["schema"]),
            "required" if each.get("required") else _default(each["schema"]),
        )
        for each in call.get("parameters", ())
        if each["name"] != WHO
    ]
    parts.append(text.table(("Parameter", "In", "Type", "Unless set"), rows))
    lines = []
    if body := _schema(call.get("requestBody", {})):
        lines.append(f"- Body: {document.types.words(body)}")
    answer = call["responses"]["200"]
    kind = _schema(answer)
    lines.append(f"- Answer: {document.types.words(kind) if kind else _media(answer)}")
    return text.join(*parts, "\n".join(lines))


def _media(answer: Schema) -> str:
    kinds = text.choices(answer.get("content", {}))
    return f"{kinds}: {text.safe(answer['description'])}"


def _default(schema: Schema) -> str:
    default = schema.get("default")
    if default is None or default == [] or isinstance(default, dict):
        return ""
    return text.code(str(default).lower() if isinstance(default, bool) else str(default))


def _model(document: Document, name: str, schema: Schema) -> str:
    """One model and its members."""
    required = schema.get("required", ())
    rows = [
        (
            text.code(member),
            document.types.words(value) + limits(value),
            "" if member in required else _default(value) or "may be left out",
        )
        for member, value in schema["properties"].items()
    ]
    table = text.table(("Member", "Type", "Unless set"), rows)
    return text.join(f"### {name}", text.paragraphs(schema.get("description", "")), table)


def page() -> str:
    """The whole page."""
    document = Document()
    parts = ["# API", INTRO]
    left = {(method, path) for method, path, _ in document.calls()}
    for tag, title in TITLES.items():
        parts.append(f"## {title}")
        for method, path, call in document.calls():
            if tag in call["tags"]:
                parts.append(_call(document, method, path, call))
                left.discard((method, path))
    if left:
        raise SystemExit(f"api: calls of no group: {sorted(left)}")
    models = "Those of the configuration are on [its page](configuration.md)."
    parts += ["## Models", models]
    parts += [_model(document, name, schema) for name, schema in document.models()]
    return text.join(*parts)
