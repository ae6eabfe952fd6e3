"""What the tests of importers share: remarks by line, and pools in short."""

from __future__ import annotations

from ipaddress import ip_address

from lbctl.cli.importing import haproxy
from lbctl.cli.importing.remarks import Kind

LOST, OTHER, IDLE = Kind.NOT_TAKEN, Kind.DIFFERS, Kind.NOT_NEEDED
ADDRESSES = (ip_address("203.0.113.10"), ip_address("2001:db8::10"))

TWO = """
backend app
 server a 10.0.1.11:80
backend other
 server o 10.0.2.11:80
"""


def remarks(imported, *kinds):
    """Lines with what became of them: `{3: "not taken"}`; only these kinds, if some are named."""
    return {r.line: r.kind for r in imported.remarks if r.line and r.kind in (kinds or tuple(Kind))}


def why(imported, line):
    """All that is said of a line."""
    return "; ".join(f"{r.what}: {r.why}" for r in imported.remarks if r.line == line)


def servers(pool):
    """The back-ends of a pool: address, weight, state."""
    return [(str(b.address), b.weight, str(b.state)) for b in pool.backends]


def vips(pool):
    """The VIPs of a pool as text."""
    return [str(vip) for vip in pool.vips]


def rules(pool):
    """The rules of a pool as text."""
    return [str(rule) for rule in pool.rules]


def by_name(imported):
    """The pools by name."""
    return {pool.name: pool for pool in imported.configuration.pools}


def proxy(*lines, head="listen web", bind="bind 203.0.113.10:80"):
    """Read one proxy, whose own lines begin in line 3; gives what was made of it."""
    return haproxy.read("\n".join([head, bind, *lines]), ADDRESSES)
