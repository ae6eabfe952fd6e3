"""
Properties of importers: what goes round comes back, and no text makes them stumble.
"""

from __future__ import annotations

import string
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address

from hypothesis import given
from hypothesis import strategies as st

from lbctl.cli.importing import haproxy, ipvsadm
from lbctl.cli.importing.building import LONGEST, Names, exported
from lbctl.errors import LbctlError
from lbctl.model import Backend, Configuration, Forward, Pool, Scheduler, SocketAddress, State, Vip
from lbctl.model.addresses import Protocol
from tests.unit.cli.importing.saying import ADDRESSES, LOST, remarks, servers, vips

SCHEDULERS = {
    Scheduler.RR: "rr",
    Scheduler.WRR: "wrr",
    Scheduler.LC: "lc",
    Scheduler.WLC: "wlc",
    Scheduler.SH: "sh",
    Scheduler.MAGLEV: "mh -b mh-port",
}
WAYS = {Forward.NAT: "-m", Forward.DSR: "-g"}
BALANCE = {
    Scheduler.WRR: "roundrobin",
    Scheduler.WLC: "leastconn",
    Scheduler.SH: "source",
    Scheduler.P2C: "random",
}
PORTS = st.integers(1, 65535)
IPV4 = st.integers(0x0A000001, 0x0AFFFFFE)  # 10.0.0.0/8
IPV6 = st.integers(0x20010DB8 << 96, (0x20010DB9 << 96) - 1)  # 2001:db8::/32
VOCABULARY = r"""
-A -a -t -u -f -s -p -M -r -g -m -i -w -x -o -b --pe --set ops rr mh sh ovf 0 7 99999
203.0.113.10:80 203.0.113.10:0 [2001:db8::1]:53 10.0.0.1:80 10.0.0.2 [fe80::1%2]:80
frontend backend listen defaults global from web app bind *:80 :::80 203.0.113.10:80-90
ssl v4v6 server a 10.0.0.3:+8000 2001:db8:1::1:80 [2001:db8:1::2]:-79 www:80 10.0.0.1:70000
weight 300 check no-check backup disabled inter 1s 99d port rise slowstart observe
agent-check agent-port default-server use_backend default_backend if unless or ! office
{ } acl src dst dst_port 198.51.100.0/24 0.0.0.0/0 2001:db8:c::/48 TRUE 80:90 ge balance
source random(2) hash stick on option httpchk tcp-check http-check send uri hdr Host expect
status 2xx string connect timeout client check no mode http .if .endif peers \ " ' #
"""
WORDS = st.sampled_from(VOCABULARY.split())
STARTS = st.sampled_from(
    [
        *("-A -t 203.0.113.10:80", "-a -t 203.0.113.10:80 -r", "-a -t 203.0.113.10:80 -r 10.0.0.1"),
        *("frontend web", "backend app", "backend b2", "listen l1", "defaults", "option httpchk"),
        *("bind 203.0.113.10:80", "bind :::80 v4v6", "bind 203.0.113.11:80-82", "timeout client"),
        *("server a 10.0.0.1:80 check", "server b 10.0.0.2", "server c [2001:db8:1::1]:80 check"),
        *("default_backend app", "use_backend b2 if { src", "use_backend b2 if", "acl office src"),
        *("http-check", "default-server", "balance", ""),
    ]
)
LINES = st.tuples(STARTS, st.lists(WORDS, max_size=8)).map(lambda it: " ".join([it[0], *it[1]]))
TEXTS = st.text() | st.lists(LINES | st.text(string.printable), max_size=40).map("\n".join)


@st.composite
def pools(draw):
    """
    A pool with one VIP, as IPVS can have it.
    """
    hosts, address = draw(st.sampled_from([(IPV4, IPv4Address), (IPV6, IPv6Address)]))
    vip = Vip(address(draw(hosts)), draw(PORTS), draw(st.sampled_from([*Protocol])))
    forward = draw(st.sampled_from([*WAYS]))
    at = st.tuples(hosts, st.just(vip.port) if forward is Forward.DSR else PORTS)
    backends = [
        Backend(address=SocketAddress(address(host), port), weight=weight, state=state)
        for host, port in draw(st.lists(at, min_size=1, max_size=4, unique=True))
        for state in [draw(st.sampled_from([State.ACTIVE, State.DRAINING]))]
        for weight in [draw(st.integers(1, 65535)) if state is State.ACTIVE else 1]
    ]
    scheduler = draw(st.sampled_from([*SCHEDULERS]))
    return Pool(
        name="any", vips=(vip,), forward=forward, scheduler=scheduler, backends=tuple(backends)
    )


def told(pool):
    """What matters of a pool."""
    return vips(pool), pool.forward, pool.scheduler, servers(pool)


def as_rules(pool):
    """Write a pool as `ipvsadm -Sn` would."""
    (vip,) = pool.vips
    address, _, protocol = str(vip).rpartition("/")
    service = f"-{protocol[0]} {address}"
    yield f"-A {service} -s {SCHEDULERS[pool.scheduler]}"
    for backend in pool.backends:
        weight = backend.weight if backend.state is State.ACTIVE else 0
        yield f"-a {service} -r {backend.address} {WAYS[pool.forward]} -w {weight}"


def as_listen(number, pool):
    """Write a pool as a proxy of HAProxy."""
    (vip,) = pool.vips
    yield f"listen pool{number}"
    yield f"  bind {str(vip).rpartition('/')[0]}"
    yield f"  balance {BALANCE[pool.scheduler]}"
    for place, backend in enumerate(pool.backends):
        weight = backend.weight if backend.state is State.ACTIVE else 0
        yield f"  server s{place} {backend.address} weight {weight}"


@given(st.lists(pools(), min_size=1, max_size=5, unique_by=lambda pool: pool.vips))
def test_ipvs_there_and_back(wanted):
    """
    Pools written as rules of ipvsadm come back with all that matters, and nothing is lost.
    """
    imported = ipvsadm.read("\n".join(line for p in wanted for line in as_rules(p)), merge=False)

    assert [told(pool) for pool in wanted] == [told(p) for p in imported.configuration.pools]
    assert {} == remarks(imported, LOST)


@given(
    st.lists(
        pools().filter(lambda pool: pool.vips[0].protocol is Protocol.TCP),
        min_size=1,
        max_size=5,
        unique_by=lambda pool: pool.vips,
    ),
    st.data(),
)
def test_haproxy_there_and_back(drawn, data):
    """
    Pools written as proxies come back with all that matters, and nothing is lost.
    """
    wanted = [
        Pool(
            name=f"pool{number}",
            vips=pool.vips,
            scheduler=data.draw(st.sampled_from([*BALANCE])),
            backends=tuple(
                Backend(address=b.address, weight=min(b.weight, 256), state=b.state)
                for b in pool.backends
            ),
        )
        for number, pool in enumerate(drawn)
    ]
    text = "\n".join(line for n, pool in enumerate(wanted) for line in as_listen(n, pool))
    imported = haproxy.read(text, ())

    assert [pool.name for pool in wanted] == [p.name for p in imported.configuration.pools]
    assert [told(pool) for pool in wanted] == [told(p) for p in imported.configuration.pools]
    assert {} == remarks(imported, LOST)


@given(TEXTS, st.booleans())
def test_any_text_for_ipvsadm(text, merge):
    """
    It is refused in one line, or makes a configuration that is read back as it is.
    """
    with suppress(LbctlError):
        imported = ipvsadm.read(text, merge=merge)
        assert all("\n" not in line for line in imported.remarks.texts())
        assert imported.configuration == Configuration.model_validate(exported(imported))


@given(TEXTS, st.sampled_from([(), ADDRESSES]))
def test_any_text_for_haproxy(text, addresses):
    """
    It is refused in one line, or makes a configuration that is read back as it is.
    """
    with suppress(LbctlError):
        imported = haproxy.read(text, addresses)
        assert all("\n" not in line for line in imported.remarks.texts())
        assert imported.configuration == Configuration.model_validate(exported(imported))


@given(st.lists(st.text(max_size=80) | st.sampled_from(["web", "web ", "a" * 70, "a" * 63])))
def test_names(likes):
    """
    Whatever they are to be like, they are names that the model takes, and no two are the same.
    """
    names = Names()
    given_names = [names.give(like) for like in likes]

    assert len(likes) == len(set(given_names))
    for name in given_names:
        assert name == Pool(name=name).name
        assert len(name) <= LONGEST
