"""The network of telephones: a SIP proxy with a clock of its own, and two that call each other."""

from __future__ import annotations

from ipaddress import ip_address

from examples.datagrams import Datagram, Endpoint
from examples.sip.proxy import Proxy
from tests.support.telephone import Telephone, status

VIP = Endpoint(ip_address("203.0.113.20"), 5060)
VIP6 = Endpoint(ip_address("2001:db8:f::20"), 5060)
ALICE, BOB = "198.51.100.11", "198.51.100.140"


class Network:
    """A proxy, a clock, and telephones around it."""

    def __init__(self):
        self.now = 1000.0
        self.proxy = Proxy(["example.net"], lambda: self.now, bytes(32))
        self.alice, self.bob = Telephone("alice", ALICE), Telephone("bob", BOB)

    def sends(self, data, host=ALICE, port=5060, local=VIP):
        """A message comes to the proxy; returns what it sends for it."""
        source = Endpoint(ip_address(host), port)
        return [
            (str(sent.destination), sent.data)
            for sent in self.proxy.handle(Datagram(source, local, data))
            if self.same_family(sent)
        ]

    @staticmethod
    def same_family(sent):
        """Nothing that it sends may be of two families."""
        assert sent.source.address.version == sent.destination.address.version
        return True

    def one(self, data, host=ALICE, port=5060, local=VIP):
        """The only message that it sends, and where to."""
        (found,) = self.sends(data, host, port, local)
        return found

    def refuses(self, data, host=ALICE):
        """The status of the answer, which goes back to where it came from."""
        where, answer = self.one(data, host)
        assert f"{host}:5060" == where
        return status(answer)

    def register(self):
        """Have both registered; returns the network."""
        assert 200 == self.refuses(self.alice.register())
        assert 200 == self.refuses(self.bob.register(), BOB)
        return self
