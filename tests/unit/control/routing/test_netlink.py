"""
The kernel by netlink: what needs no privilege and no other namespace.
"""

from __future__ import annotations

import errno
import threading
from ipaddress import ip_network

import pytest
from pyroute2.netlink.exceptions import NetlinkError

from lbctl.control.routing.netlink import Listener, Requester


@pytest.fixture
def kernel():
    """A requester."""
    requester = Requester()
    yield requester
    requester.close()


def test_any_thread_may_ask(kernel):
    """
    The routing daemon's own, and those of requests.
    """
    found = [kernel.links()]
    thread = threading.Thread(target=lambda: found.append(kernel.links()))
    thread.start()
    thread.join()

    assert found[0] == found[1]
    assert ["lo"] == [link.name for link in found[0] if link.ifindex == 1]


def test_own_addresses_are_among_the_routes(kernel):
    """
    The local table comes with the main one.
    """
    assert ip_network("127.0.0.0/8") in [route.prefix for route in kernel.routes() if route.local]


def test_a_dump_that_was_disturbed_is_made_again(kernel, monkeypatch):
    """
    It may lack a record.
    """
    answers = [([], False), ([], False), (["whole"], True), (["too late"], True)]
    monkeypatch.setattr(kernel, "_dump_once", lambda *_: answers.pop(0))

    assert ["whole"] == kernel._dump("link")


def test_refusals_are_errors_of_the_system(kernel):
    """
    With the kernel's number.
    """

    def refuse():
        raise NetlinkError(errno.ENOBUFS)

    with pytest.raises(OSError, match="No buffer space") as caught:
        kernel._ask(refuse)

    assert errno.ENOBUFS == caught.value.errno


def test_what_is_broken_or_closed_can_be_closed(kernel, monkeypatch):
    """
    Or the daemon could not begin anew.
    """
    close = kernel._kernel.close

    def fail():
        close()
        raise OSError(errno.ENOBUFS, "full")

    monkeypatch.setattr(kernel._kernel, "close", fail)

    kernel.close()
    kernel.close()
    listener = Listener()
    listener.close()
    listener.close()
