"""The page of the YAML form: every key of every part, from the model, with meaning and example."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import yaml
from pydantic import TypeAdapter

from generator import text
from generator.meanings import MEANINGS
from generator.schemas import Types, limits
from lbctl import model

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

INTRO = """\
`lbctl apply -f FILE` makes the switch do what a file says, `lbctl diff -f FILE` tells what that
would change, and `lbctl export` prints the file for what there is. The file is the whole
configuration: what it does not name goes. It is YAML, or JSON.

`lbctl validate -f FILE` checks a file without a daemon. `lbctl validate --schema` prints its
[JSON Schema](https://json-schema.org/), with which editors complete and check while you type. A key
that is not in it is an error, so that a misspelt one does not go unseen.

    lbctl validate --schema > lbctl.schema.json"""

EXAMPLE = """\
# yaml-language-server: $schema=lbctl.schema.json
version: 1
nics:
  - name: eth1
  - name: eth2
pools:
  - name: web
    vips:
      - 203.0.113.10:80/tcp
      - 203.0.113.10:443/tcp
    scheduler: least-load
    on_down: reset
    backends:
      - address: 10.0.1.11:8080
      - address: 10.0.1.12:8080
        weight: 2
      - address: 10.0.1.13:8080
        state: maintenance
    health:
      check: http
      path: /healthz
      interval: 1
      fall: 2
    backup: sorry
  - name: sorry
    backends:
      - address: 10.0.1.99:8080
  - name: dns
    vips:
      - "[2001:db8::53]:53/udp" # in quotes: a bracket begins a list
    backends:
      - address: "[2001:db8:1::11]:53"
agents:
  - address: 10.0.1.11:8407
    key_file: /etc/lbctl/agent.key
pseudo:
  - name: lb0
    addresses:
      - 203.0.113.1/32
apps:
  - name: voip
    vips:
      - 203.0.113.20:5060/udp
    user: voip
    on_exit: drop
settings:
  timeouts:
    established: 7200"""

ADDRESSES = """\
A VIP is `ADDRESS:PORT/PROTOCOL`, with `tcp` or `udp`; port `*` stands for every port of the
address. A server is `ADDRESS:PORT`. IPv6 addresses stand in brackets, and then the whole in quotes.
Addresses must be unicast, and neither loopback nor link-local. A prefix is `198.51.100.0/24`, or an
address. An address of an interface is `203.0.113.1/32`, with the length of its prefix, or without
one if it is alone."""

CHECKS = """\
Key `health` of a pool. Key `check` says which kind it is: `tcp`, `http`, `https`, `udp`, `icmp`,
`grpc` or `script`. All kinds have the keys that follow;
[health checks](../howto/health-checks.md) tells which kind to take."""

PARTS: tuple[tuple[str, type[model.Model], str], ...] = (
    ("The file", model.Configuration, "All keys may be left out."),
    ("NIC", model.Nic, "An entry of `nics`."),
    ("Pool", model.Pool, "An entry of `pools`."),
    ("Back-end", model.Backend, "An entry of `backends` of a pool."),
    ("Rule", model.Rule, "An entry of `rules` of a pool. It needs `clients`, a `port`, or both."),
    ("Checks", model.Check, CHECKS),
    ("Passive", model.Passive, "Key `passive` of a pool; `{}` takes all as it stands here."),
    ("Balance", model.Balance, "Key `balance` of a pool. Shares are 0 to 1."),
    ("Agent", model.Agent, "An entry of `agents`."),
    ("Pseudo interface", model.Pseudo, "An entry of `pseudo`."),
    ("Network application", model.App, "An entry of `apps`."),
    ("Processor", model.Processor, "An entry of `processors`."),
    ("Settings", model.Settings, "Key `settings`."),
    ("Timeouts", model.Timeouts, "Key `timeouts` of the settings: seconds without a packet."),
)
KINDS: tuple[type[model.Check], ...] = (
    model.TcpCheck,
    model.HttpCheck,
    model.UdpCheck,
    model.IcmpCheck,
    model.GrpcCheck,
    model.ScriptCheck,
)
LINKS = {part.__name__: f"#{title.lower().replace(' ', '-')}" for title, part, _ in PARTS}
LINKS |= {kind.__name__: "#checks" for kind in KINDS}


def proven(example: str, field: FieldInfo) -> str:
    """*example*, if the field takes it; else the page would lie."""
    adapter: TypeAdapter[Any] = TypeAdapter(field.rebuild_annotation())
    adapter.validate_python(yaml.safe_load(example))
    return example


def keys(part: type[model.Model], inherited: frozenset[str] = frozenset()) -> str:
    """The table of the keys of one part."""
    schema = part.model_json_schema()
    types = Types(schema.get("$defs", {}), LINKS)
    meanings = dict(MEANINGS.get(part.__name__, {}))
    rows = []
    for name, field in part.model_fields.items():
        if name in inherited:
            continue
        if name not in meanings:
            raise SystemExit(f"meanings: {part.__name__}.{name} has none")
        meaning, example = meanings.pop(name)
        value = schema["properties"][name]
        rows.append(
            (
                text.code(name),
                _optional(types.words(value)) + limits(value),
                _default(field),
                text.safe(meaning),
                text.code(proven(example, field)),
            )
        )
    if meanings:
        raise SystemExit(f"meanings: {part.__name__} has no {', '.join(meanings)}")
    return text.table(("Key", "Type", "Unless set", "Meaning", "Example"), rows)


def _optional(kind: str) -> str:
    """A type without the null that a key which is left out stands for; one link for all checks."""
    found = [words for words in kind.split(" or ") if words != "null"]
    if "[TcpCheck](#checks)" in found:
        return "[check](#checks)"
    return " or ".join(found)


def _default(field: FieldInfo) -> str:
    """What holds when the key is not there."""
    if field.is_required():
        return "required"
    default = field.default
    if default is None or default in ((), ""):
        return ""
    if isinstance(default, model.Model):
        return "as below"
    return text.code(f"{default:g}" if isinstance(default, float) else str(default).lower())


def _kinds() -> list[str]:
    """What each kind of check has besides the common keys."""
    common = frozenset(model.Check.model_fields) | {"check"}
    parts = []
    for kind in KINDS:
        words = kind.model_fields["check"].annotation
        names = text.choices(getattr(words, "__args__", ()))
        parts.append(f"**{names}**: {text.safe(' '.join((kind.__doc__ or '').split()))}")
        parts.append(keys(kind, common))
    return parts


def page() -> str:
    """The whole page."""
    model.Configuration.model_validate(yaml.safe_load(EXAMPLE))
    parts = ["# Configuration", INTRO, text.fenced("yaml", EXAMPLE), "## Addresses", ADDRESSES]
    for title, part, words in PARTS:
        parts += [f"## {title}", words, keys(part)]
        if part is model.Check:
            parts += _kinds()
    return text.join(*parts)
