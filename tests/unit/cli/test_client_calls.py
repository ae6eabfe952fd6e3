"""
The calls of the client: what each one asks, and that the daemon knows it.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

import pytest

from lbctl.model import SocketAddress, Vip

if TYPE_CHECKING:
    from collections.abc import Callable


class Case(NamedTuple):
    """A call, and the request that it makes."""

    call: Callable
    method: str
    path: str
    params: dict
    body: dict | None


SERVER = SocketAddress.parse("[2001:db8:1::11]:8080")
SERVER_PATH = "/v1/pools/web/backends/%5B2001%3Adb8%3A1%3A%3A11%5D%3A8080"
AGENT_PATH = "/v1/agents/%5B2001%3Adb8%3A1%3A%3A11%5D%3A8080"
EVERY = {"pool": "web", "backend": SERVER, "client": ip_address("2001:db8::7")}
EVERY_PARAM = {"pool": "web", "backend": "[2001:db8:1::11]:8080", "client": "2001:db8::7"}
CALLS = [
    Case(lambda c: c.status(), "GET", "/v1/status", {}, None),
    Case(
        lambda c: c.attach(["eth1", "eth2"], "auto"),
        "POST",
        "/v1/nics",
        {},
        {"nics": [{"name": "eth1", "mode": "auto"}, {"name": "eth2", "mode": "auto"}]},
    ),
    Case(lambda c: c.pools(), "GET", "/v1/pools", {}, None),
    Case(lambda c: c.pool("web"), "GET", "/v1/pools/web", {}, None),
    Case(lambda c: c.add_pool({"name": "web"}), "POST", "/v1/pools", {}, {"name": "web"}),
    Case(
        lambda c: c.set_pool("web", {"forward": "dsr"}, force=True),
        "PATCH",
        "/v1/pools/web",
        {"force": "true"},
        {"forward": "dsr"},
    ),
    Case(lambda c: c.remove_pool("a.b"), "DELETE", "/v1/pools/a.b", {}, None),
    Case(lambda c: c.vips(), "GET", "/v1/vips", {}, None),
    Case(
        lambda c: c.add_vip("web", Vip.parse("[2001:db8::1]:*/tcp")),
        "POST",
        "/v1/pools/web/vips",
        {},
        {"vip": "[2001:db8::1]:*/tcp"},
    ),
    Case(
        lambda c: c.remove_vip("web", Vip.parse("[2001:db8::1]:*/tcp")),
        "DELETE",
        "/v1/pools/web/vips/%5B2001%3Adb8%3A%3A1%5D%3A%2A/tcp",
        {},
        None,
    ),
    Case(lambda c: c.backends(), "GET", "/v1/backends", {}, None),
    Case(lambda c: c.backends("web"), "GET", "/v1/backends", {"pool": "web"}, None),
    Case(
        lambda c: c.add_backend("web", {"address": "10.0.1.11:80"}),
        "POST",
        "/v1/pools/web/backends",
        {},
        {"address": "10.0.1.11:80"},
    ),
    Case(
        lambda c: c.set_backend("web", SERVER, {"weight": 0}),
        "PATCH",
        SERVER_PATH,
        {},
        {"weight": 0},
    ),
    Case(lambda c: c.remove_backend("web", SERVER), "DELETE", SERVER_PATH, {}, None),
    Case(
        lambda c: c.remove_backend("web", SERVER, now=True),
        "DELETE",
        SERVER_PATH,
        {"now": "true"},
        None,
    ),
    Case(lambda c: c.configuration(), "GET", "/v1/configuration", {}, None),
    Case(lambda c: c.apply({"version": 1}), "POST", "/v1/configuration", {}, {"version": 1}),
    Case(
        lambda c: c.apply({"version": 1}, dry_run=True, force=True),
        "POST",
        "/v1/configuration",
        {"dry_run": "true", "force": "true"},
        {"version": 1},
    ),
    Case(lambda c: c.diff({"version": 1}), "POST", "/v1/configuration/diff", {}, {"version": 1}),
    Case(lambda c: c.generations(), "GET", "/v1/generations", {}, None),
    Case(lambda c: c.rollback(3), "POST", "/v1/generations/3/rollback", {}, None),
    Case(lambda c: c.routes(), "GET", "/v1/routes", {}, None),
    Case(lambda c: c.neighbors(), "GET", "/v1/neighbors", {}, None),
    Case(
        lambda c: c.connections(limit=5, **EVERY),
        "GET",
        "/v1/connections",
        {**EVERY_PARAM, "limit": "5"},
        None,
    ),
    Case(
        lambda c: c.count_connections(pool=None, backend=None, client=None),
        "GET",
        "/v1/connections/count",
        {},
        None,
    ),
    Case(lambda c: c.flush_connections(**EVERY), "DELETE", "/v1/connections", EVERY_PARAM, None),
    Case(lambda c: c.stats(), "GET", "/v1/stats", {}, None),
    Case(lambda c: c.drops(), "GET", "/v1/drops", {}, None),
    Case(lambda c: c.explain({"protocol": "tcp"}), "POST", "/v1/explain", {}, {"protocol": "tcp"}),
    Case(
        lambda c: c.explain_frames({"frames": []}), "POST", "/v1/explain/frames", {}, {"frames": []}
    ),
    Case(lambda c: c.health(), "GET", "/v1/health", {}, None),
    Case(lambda c: c.health("web"), "GET", "/v1/health", {"pool": "web"}, None),
    Case(
        lambda c: c.check_health("web", SERVER, patience=2),
        "POST",
        "/v1/health/check",
        {},
        {"pool": "web", "address": "[2001:db8:1::11]:8080"},
    ),
    Case(lambda c: c.agents(), "GET", "/v1/agents", {}, None),
    Case(lambda c: c.agent(SERVER), "GET", AGENT_PATH, {}, None),
    Case(
        lambda c: c.add_agent({"address": "10.0.1.11:9150"}),
        "POST",
        "/v1/agents",
        {},
        {"address": "10.0.1.11:9150"},
    ),
    Case(lambda c: c.remove_agent(SERVER), "DELETE", AGENT_PATH, {}, None),
    Case(lambda c: c.events(limit=5), "GET", "/v1/events", {"limit": "5"}, None),
    Case(
        lambda c: c.events(after=0, wait=2.5, kind="health"),
        "GET",
        "/v1/events",
        {"after": "0", "wait": "2.5", "kind": "health"},
        None,
    ),
    Case(lambda c: c.pseudo_interfaces(), "GET", "/v1/pseudo", {}, None),
    Case(lambda c: c.pseudo_interface("lb0"), "GET", "/v1/pseudo/lb0", {}, None),
    Case(lambda c: c.add_pseudo({"name": "lb0"}), "POST", "/v1/pseudo", {}, {"name": "lb0"}),
    Case(
        lambda c: c.set_pseudo("lb0", {"mtu": None}),
        "PATCH",
        "/v1/pseudo/lb0",
        {},
        {"mtu": None},
    ),
    Case(lambda c: c.remove_pseudo("lb0"), "DELETE", "/v1/pseudo/lb0", {}, None),
    Case(lambda c: c.apps(), "GET", "/v1/apps", {}, None),
    Case(lambda c: c.app("voip"), "GET", "/v1/apps/voip", {}, None),
    Case(lambda c: c.add_app({"name": "voip"}), "POST", "/v1/apps", {}, {"name": "voip"}),
    Case(
        lambda c: c.set_app("voip", {"user": "voip"}),
        "PATCH",
        "/v1/apps/voip",
        {},
        {"user": "voip"},
    ),
    Case(lambda c: c.remove_app("voip"), "DELETE", "/v1/apps/voip", {}, None),
]
every_call = pytest.mark.parametrize("case", CALLS, ids=lambda case: f"{case.method} {case.path}")


@every_call
def test_calls(client, daemon, case):
    """
    One request, whose answer comes back as it is.
    """
    daemon.answers[case.method, case.path] = (200, {"is": "the answer"})

    assert {"is": "the answer"} == case.call(client)
    (request,) = daemon.requests
    assert case[1:] == (request.method, request.path, request.params, request.body)


@every_call
def test_calls_are_those_of_the_api(api, case):
    """
    The daemon's own description knows each call, its parameters and its body.
    """
    known = {
        (verb.upper(), where): operation
        for where, verbs in api["paths"].items()
        for verb, operation in verbs.items()
    }
    (operation,) = (known[m, p] for m, p in known if m == case.method and matches(p, case.path))
    names = {parameter["name"] for parameter in operation.get("parameters", ())}

    assert set(case.params) <= names
    assert (case.body is not None) == ("requestBody" in operation)


@pytest.fixture(scope="module")
def api():
    """
    The OpenAPI document of the daemon.
    """
    from lbctl.control.api import create_app  # noqa: PLC0415 - slow, and only needed here

    return create_app(None).openapi()


def matches(template, path):
    """Tell whether *path* is one of those that *template* stands for; `{vip}` may hold a slash."""
    wanted, found = template.split("/"), path.removesuffix("/tcp").split("/")
    return len(wanted) == len(found) and all(
        a == b or a.startswith("{") for a, b in zip(wanted, found, strict=True)
    )
