"""Addresses: 16 bytes for either family, and back."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lbctl.shared import addresses

ipv4 = st.integers(0, 2**32 - 1).map(IPv4Address)
ipv6 = st.integers(0, 2**128 - 1).map(IPv6Address).filter(lambda a: a.ipv4_mapped is None)


@given(ipv4 | ipv6)
def test_there_and_back(address):
    """
    Nothing is lost, and both families have the same length.
    """
    assert len(addresses.pack(address)) == 16
    assert address == addresses.unpack(addresses.pack(address))
    assert address == addresses.from_words(addresses.words(address))


def test_ipv4_is_mapped():
    """
    As RFC 4291, 2.5.5.2, writes it.
    """
    mapped = addresses.pack(IPv4Address("192.0.2.1"))

    assert IPv6Address("::ffff:192.0.2.1").packed == mapped
    assert [0, 0, 0xFFFF, 0xC0000201] == addresses.words(IPv4Address("192.0.2.1")).tolist()


def test_words_lie_in_network_order():
    """
    The bytes of a field are the bytes on the wire.
    """
    address = IPv6Address("2001:db8::1")

    assert address.packed == addresses.words(address).tobytes()
    assert np.dtype(">u4") == addresses.words(address).dtype
