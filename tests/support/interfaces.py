"""
The interface daemon's surroundings: a host in which it runs, without switching processors.
"""

from __future__ import annotations

import json
import socket
from functools import partial
from ipaddress import ip_network
from types import SimpleNamespace

import pytest

from lbctl.control.interface_daemon import InterfaceDaemon
from lbctl.model import Configuration, Pseudo
from lbctl.testbed import namespaces

ADDRESSES = ("203.0.113.1/32", "2001:db8:f::1/128")
PSEUDO = Pseudo(name="lb0", addresses=ADDRESSES)
WANTED = Configuration(pseudo=(PSEUDO,))
NONE = Configuration()
CLIENT4, CLIENT6 = "198.51.100.11", "2001:db8:1::11"


class Host:
    """
    A switch with an attached NIC, one that is not, and a client; the daemon runs in it.

        client [eth0 198.51.100.11] ---- [ext0 198.51.100.1] switch [mgmt 198.51.100.5] ---- other
    """

    def __init__(self, wire):
        self.wire = wire
        wire.cable("switch", "ext0", "client", "eth0")
        wire.cable("switch", "mgmt", "other", "eth0")
        wire.ip("switch", "addr add 198.51.100.1/24 dev ext0")
        wire.ip("switch", "addr add 2001:db8:1::1/64 dev ext0")
        wire.ip("switch", "addr add 198.51.100.5/24 dev mgmt")
        wire.ip("client", f"addr add {CLIENT4}/24 dev eth0", f"addr add {CLIENT6}/64 dev eth0")
        wire.ip("client", "route add 203.0.113.0/24 dev eth0", "route add 2001:db8:f::/64 dev eth0")
        self.attached = ["ext0"]
        self.routes = {ip_network(text): True for text in ("0.0.0.0/0", "::/0")}
        self.daemon = InterfaceDaemon("default", self.nics, lambda: self.routes)

    def nics(self):
        """The NICs that have a program, so to speak."""
        return [
            SimpleNamespace(name=name, ifindex=socket.if_nametoindex(name))
            for name in self.attached
        ]

    def do(self, function, *arguments):
        """Call a function in the switch's namespace."""
        return namespaces.call(self.wire.namespace("switch"), partial(function, *arguments))

    def json(self, *words):
        """What `ip` tells."""
        return json.loads(self.wire.run("switch", "ip", "-j", *words) or "[]")

    def addresses(self, nic):
        """The addresses of a NIC, those that come by themselves as well."""
        found = self.json("addr", "show", "dev", nic)[0]["addr_info"]
        return {f"{one['local']}/{one['prefixlen']}" for one in found}

    def everything(self):
        """All that it may have changed."""
        words = ("addr", "rule", "-6 rule", "neigh show nud permanent", "route show table all")
        words += ("-6 route show table all",)
        return {line: self.wire.run("switch", "ip", *line.split()) for line in words}

    def way_out(self, target, source):
        """The NIC by which something is sent."""
        return self.json("route", "get", target, "from", source)[0]["dev"]


@pytest.fixture
def host(wire):
    """A switch without a pseudo interface."""
    return Host(wire)
