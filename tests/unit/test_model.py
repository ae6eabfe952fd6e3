"""The model: what is accepted, how it is written, and the sentence for what is refused."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from lbctl.model import (
    Backend,
    Configuration,
    Forward,
    Nic,
    Pool,
    Protocol,
    Scheduler,
    SocketAddress,
    State,
    Timeouts,
    Vip,
)

WEB = {
    "name": "web",
    "vips": ["203.0.113.10:80/tcp"],
    "backends": [{"address": "10.0.1.11:8080"}, {"address": "10.0.1.12:8080", "weight": 3}],
}
ordinary_ipv4 = st.integers(0x0A000001, 0x0AFFFFFE).map(IPv4Address)
ordinary_ipv6 = st.integers(1, 2**64).map(lambda low: IPv6Address((0x20010DB8 << 96) + low))
addresses = ordinary_ipv4 | ordinary_ipv6
ports = st.integers(1, 65535)


def pool(**changes):
    """Make the pool `web` with some fields changed."""
    return Pool.model_validate(WEB | changes)


def refusal(kind, value):
    """Return the sentence with which *kind* refuses *value*."""
    with pytest.raises(ValidationError) as caught:
        kind.model_validate(value)
    return caught.value.errors()[0]["msg"]


def spelled(kind, text):
    """Read *text* and write it again; None when it is refused in words."""
    try:
        return str(kind.parse(text))
    except ValueError:
        return None


@given(addresses, ports, st.sampled_from(Protocol))
def test_a_vip_is_read_as_it_is_written(address, port, protocol):
    """
    Of either family.
    """
    vip = Vip(address, port, protocol)

    assert vip == Vip.parse(str(vip))


@given(addresses, ports)
def test_a_socket_address_is_read_as_it_is_written(address, port):
    """
    Of either family.
    """
    where = SocketAddress(address, port)

    assert where == SocketAddress.parse(str(where))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("203.0.113.10:*/udp", "203.0.113.10:*/udp"),
        ("[2001:DB8:0::1]:443/tcp", "[2001:db8::1]:443/tcp"),
        ("203.0.113.10:0080/tcp", "203.0.113.10:80/tcp"),
    ],
)
def test_a_vip_has_one_form(text, written):
    """
    Two spellings of one VIP are the same VIP.
    """
    assert written == str(Vip.parse(text))


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("203.0.113.10:80", "add /tcp or /udp"),
        ("203.0.113.10:80/sctp", "the protocol must be tcp or udp, not 'sctp'"),
        ("203.0.113.10/tcp", "'203.0.113.10' is not ADDRESS:PORT"),
        ("2001:db8::1:80/tcp", "write an IPv6 address in brackets"),
        ("[203.0.113.10]:80/tcp", "brackets are for IPv6 addresses"),
        ("[fe80::1]:80/tcp", "a link-local address cannot be balanced"),
        ("[2001:db8::1%eth0]:80/tcp", "a link-local address cannot be balanced"),
        ("[::ffff:203.0.113.10]:80/tcp", "write the IPv4 address 203.0.113.10 itself"),
        ("203.0.113.256:80/tcp", "'203.0.113.256' is not an IP address"),
        ("www.example.com:80/tcp", "'www.example.com' is not an IP address"),
        ("224.0.0.1:80/tcp", "not a unicast address"),
        ("255.255.255.255:80/tcp", "not a unicast address"),
        ("127.0.0.1:80/tcp", "not a unicast address"),
        ("[::]:80/tcp", "not a unicast address"),
        ("203.0.113.10:0/tcp", "the port must be 1 to 65535, not '0'"),
        ("203.0.113.10:65536/tcp", "the port must be 1 to 65535, not '65536'"),
        ("203.0.113.10:http/tcp", "the port must be 1 to 65535, not 'http'"),
        ("203.0.113.10:٨٠/tcp", "the port must be 1 to 65535"),
        ("203.0.113.10:-1/tcp", "the port must be 1 to 65535"),
        ("", "is not ADDRESS:PORT/PROTOCOL"),
    ],
)
def test_a_vip_that_cannot_be(text, because):
    """
    The sentence says what is wrong with it, in one line.
    """
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        Vip.parse(text)

    assert because in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "because"),
    [
        ("10.0.1.11", "is not ADDRESS:PORT"),
        ("10.0.1.11:*", "the port must be 1 to 65535, not '*'"),
        ("10.0.1.11:8080/tcp", "the port must be 1 to 65535, not '8080/tcp'"),
        (" 10.0.1.11:8080", "is not an IP address"),
    ],
)
def test_a_socket_address_that_cannot_be(text, because):
    """
    A server has one port, and no protocol of its own.
    """
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        SocketAddress.parse(text)

    assert because in str(caught.value)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text):
    """
    Nothing that a user can type is a traceback.
    """
    for kind in (Vip, SocketAddress):
        written = spelled(kind, text)
        assert written is None or written == spelled(kind, written)


def test_a_pool_has_sensible_defaults():
    """
    A name is all that must be said; the rest is what most people want.
    """
    plain = Pool(name="web")

    assert (Forward.NAT, Scheduler.MAGLEV, 65537) == (
        plain.forward,
        plain.scheduler,
        plain.table_size,
    )
    assert State.ACTIVE is pool().backends[0].state
    assert [1, 3] == [backend.weight for backend in pool().backends]


@pytest.mark.parametrize("mode", ["json", "python"])
def test_a_configuration_survives_the_way_out_and_back(mode):
    """
    YAML, database and API all use this form.
    """
    configuration = Configuration(pools=(pool(),), nics=(Nic(name="eth1"),))
    written = configuration.model_dump(mode=mode)

    assert configuration == Configuration.model_validate(written)
    assert "203.0.113.10:80/tcp" == str(written["pools"][0]["vips"][0])


def test_a_configuration_is_a_value():
    """
    It cannot be changed behind the back of whoever published it, and it can be a key.
    """
    configuration = Configuration(pools=(pool(),))

    with pytest.raises(ValidationError, match="frozen"):
        configuration.pools = ()
    assert 1 == len({configuration, Configuration(pools=(pool(),))})


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        ({"name": "web pool"}, "should match pattern"),
        ({"name": ""}, "should match pattern"),
        ({"forward": "teleport"}, "Input should be 'nat'"),
        ({"schedular": "rr"}, "Extra inputs are not permitted"),
        ({"table_size": 0}, "greater than or equal to 1"),
        ({"vips": ["203.0.113.10:80/tcp"] * 2}, "VIP 203.0.113.10:80/tcp is named twice"),
        ({"backends": [{"address": "10.0.1.11:80"}] * 2}, "back-end 10.0.1.11:80 is named twice"),
        ({"vips": ["[2001:db8::1]:80/tcp"]}, "must be of one address family"),
        ({"forward": "dsr"}, "back-end 10.0.1.11:8080 must listen on 80"),
    ],
)
def test_a_pool_that_cannot_be(changes, because):
    """
    Refused as a whole, with the object named.
    """
    assert because in refusal(Pool, WEB | changes)


@pytest.mark.parametrize("vip", ["203.0.113.10:8080/tcp", "203.0.113.10:*/tcp"])
def test_direct_server_return_keeps_the_port(vip):
    """
    Only the MAC is rewritten, so the server listens on the port of the VIP.
    """
    assert Forward.DSR is pool(forward="dsr", vips=[vip]).forward


@pytest.mark.parametrize("weight", [-1, 65536, "heavy"])
def test_a_weight_that_cannot_be(weight):
    """
    0 is a weight: no slots. Less is nothing.
    """
    assert refusal(Backend, {"address": "10.0.1.11:80", "weight": weight})
    assert 0 == Backend.model_validate({"address": "10.0.1.11:80", "weight": 0}).weight


@pytest.mark.parametrize(
    ("value", "because"),
    [
        ({"pools": [WEB, WEB]}, "pool 'web' is named twice"),
        ({"pools": [WEB, WEB | {"name": "other"}]}, "is in pool 'web' and in pool 'other'"),
        ({"nics": [{"name": "eth1"}] * 2}, "NIC 'eth1' is named twice"),
        ({"nics": [{"name": "a-name-of-16-char"}]}, "at most 15 characters"),
        ({"version": 2}, "less than or equal to 1"),
        ({"settings": {"timeouts": {"udp": 1}}}, "greater than or equal to 2"),
    ],
)
def test_a_configuration_that_cannot_be(value, because):
    """
    Refused as a whole, with the object named.
    """
    assert because in refusal(Configuration, value)


def test_a_pool_is_found_by_name():
    """
    Or not at all.
    """
    configuration = Configuration(pools=(pool(),))

    assert pool() == configuration.pool("web")
    assert configuration.pool("wab") is None


def test_half_open_connections_are_forgotten_first():
    """
    The default timeouts keep a flood of SYNs from staying as long as real connections.
    """
    timeouts = Timeouts()

    assert timeouts.half_open < timeouts.udp < timeouts.closing < timeouts.established
