"""Verdicts counted of each service and of each back-end: all but the usual ones."""

from __future__ import annotations

import pytest

from lbctl.shared import abi
from lbctl.shared.abi import Verdict
from lbctl.shared.routing import NextHopState
from tests.packets.world import BOTH, TCP, WEB4, establish

OTHER = WEB4.at_vip(20)._replace(server="10.0.1.99:8080")


@pytest.fixture
def reasons(switch):
    """What was counted since of a service, by its VIP, and of a back-end, by its address."""

    def read(whose):
        by_service, by_backend = switch.dataplane.counters.reasons()
        places = {str(r.address): by_backend[i] for i, r in switch.configuration.backends().items()}
        vips = {str(vip): by_service[i] for vip, i in switch.configuration._services.items()}
        row = {**places, **vips}[whose]
        return {Verdict(v).name: int(row[v]) for v in range(abi.VERDICTS) if row[v]}

    switch.memory["reasons"].view("u1")[:] = 0
    return read


@BOTH
def test_the_usual_is_not_counted_here(switch, reasons, talk):
    """
    New connections, their packets and the replies are in the traffic of the back-end.
    """
    switch.publish(switch.service(talk.service, [talk.server]))
    establish(switch, talk)

    assert {} == reasons(talk.service)
    assert {} == reasons(talk.server)


@BOTH
def test_no_server_is_active(switch, reasons, talk):
    """
    Of the service alone: no back-end was chosen.
    """
    switch.publish(switch.service(talk.service, [f"{talk.server} down"]))
    switch.run(talk.asks(*talk.start))

    assert {"DROP_NO_BACKEND": 1} == reasons(talk.service)
    assert {} == reasons(talk.server)


@TCP
@pytest.mark.parametrize(("unknown", "name"), [("reset", "RESET"), ("drop", "DROP_NO_CONNECTION")])
def test_of_no_connection(switch, reasons, talk, unknown, name):
    """
    A stranger's packet is the service's.
    """
    switch.publish(switch.service(talk.service, [talk.server], unknown=unknown))
    switch.run(talk.asks("A"))

    assert {name: 1} == reasons(talk.service)


@BOTH
@pytest.mark.parametrize(
    ("state", "name"),
    [
        (NextHopState.UNRESOLVED, "DROP_NO_NEIGHBOR"),
        (NextHopState.NO_ROUTE, "DROP_NO_ROUTE"),
        (NextHopState.NOT_ATTACHED, "DROP_NOT_ATTACHED"),
    ],
)
def test_a_server_that_is_not_reached(switch, reasons, talk, state, name):
    """
    Of service and back-end; and the back-end has got neither packet nor connection.
    """
    switch.publish(switch.service(talk.service, [talk.server], state=state))
    switch.run(talk.asks(*talk.start))

    assert {name: 1} == reasons(talk.service)
    assert {name: 1} == reasons(talk.server)
    counted = switch.counters()[talk.server]
    assert (0, 0, 0) == tuple(int(counted[n]) for n in ("packets_in", "bytes_in", "connections"))


@TCP
def test_a_reply_is_of_its_service(switch, reasons, talk):
    """
    Which service it is the back-end's record says.
    """
    switch.publish(switch.service(talk.service, [talk.server, talk.second]))
    switch.run(talk.asks("S"))
    switch.reply(talk.says("RA", server=where_it_went(switch)))

    assert {"DROP_RESET_WITHHELD": 1} == reasons(talk.service)


def where_it_went(switch):
    """Find the server of the one connection."""
    (connection,) = switch.connections.list()
    return str(connection.backend)


@TCP
def test_nobody_else_is_counted(switch, reasons, talk):
    """
    Two services: what befalls one is not the other's.
    """
    switch.publish(
        switch.service(OTHER.service, [OTHER.server]),
        switch.service(talk.service, [talk.server], unknown="drop"),
    )
    switch.run(talk.asks("A"))

    assert {} == reasons(OTHER.service)
    assert {"DROP_NO_CONNECTION": 1} == reasons(talk.service)


def test_a_new_service_has_no_past(switch, reasons):
    """
    An index that is used again begins at zero.
    """
    switch.publish(switch.service(WEB4.service, [f"{WEB4.server} down"]))
    switch.run(WEB4.asks("S"))
    switch.publish()
    switch.publish(switch.service(OTHER.service, [f"{OTHER.server} down"]))

    assert {} == reasons(OTHER.service)
