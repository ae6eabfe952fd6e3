"""Which back-ends are checked, and how."""

from __future__ import annotations

from lbctl.control.health.targets import targets, watched, with_marks
from lbctl.model import (
    Backend,
    Configuration,
    Forward,
    Pool,
    Rule,
    SocketAddress,
    State,
    TcpCheck,
    Vip,
)

ONE, TWO = SocketAddress.parse("10.0.1.11:80"), SocketAddress.parse("10.0.1.12:80")
VIP, VIP2 = Vip.parse("203.0.113.10:80/tcp"), Vip.parse("203.0.113.11:80/tcp")
CHECK = TcpCheck()
TO_VIP = TcpCheck(to_vip=True)


def pool(name, *backends, **options):
    """A DSR pool of these addresses or back-ends."""
    made = [each if isinstance(each, Backend) else Backend(address=each) for each in backends]
    return Pool(name=name, backends=made, forward=Forward.DSR, **options)


def test_every_pool_with_a_check_has_its_own():
    """
    The same server in two pools is checked for each; a pool without a check has no targets.
    """
    configuration = Configuration(
        pools=(pool("web", ONE, TWO, health=CHECK), pool("api", ONE, health=CHECK), pool("x", TWO))
    )
    found = targets(configuration)

    assert {("web", ONE), ("web", TWO), ("api", ONE)} == found.keys() == watched(configuration)
    assert ("api", ONE, CHECK, None, 0) == found["api", ONE]


def test_a_server_that_the_administrator_took_out_is_not_watched():
    """
    But it can be checked when somebody asks.
    """
    states = {
        SocketAddress.parse(f"10.0.1.{number}:80"): state for number, state in enumerate(State, 1)
    }
    backends = [Backend(address=address, state=state) for address, state in states.items()]
    configuration = Configuration(pools=(pool("web", *backends, health=CHECK),))
    out = {State.MAINTENANCE, State.DOWN}

    assert len(State) == len(targets(configuration))
    assert {("web", address) for address, state in states.items() if state not in out} == watched(
        configuration
    )


def test_a_check_of_the_vip_knows_the_vip():
    """
    The first of several.
    """
    web = pool("web", ONE, vips=(VIP, VIP2), health=TO_VIP)
    api = pool("api", ONE, health=TO_VIP)
    found = targets(Configuration(pools=(web, api)))

    assert VIP == found["web", ONE].vip
    assert found["api", ONE].vip is None


def test_servers_have_the_vip_of_the_pool_that_sends_them_clients():
    """
    As its backup, or by a rule.
    """
    web = pool("web", TWO, vips=(VIP,), backup="spare")
    old = pool("old", TWO, vips=(VIP2,), rules=(Rule(clients="198.51.100.0/24", pool="lab"),))
    spare = pool("spare", ONE, health=TO_VIP)
    lab = pool("lab", ONE, health=TO_VIP)
    found = targets(Configuration(pools=(spare, lab, web, old)))

    assert (VIP, VIP2) == (found["spare", ONE].vip, found["lab", ONE].vip)


def test_marks_are_filled_in():
    """
    0 where there is none.
    """
    found = targets(Configuration(pools=(pool("web", ONE, TWO, vips=(VIP,), health=TO_VIP),)))
    marked = with_marks(found, {("web", ONE): 7})

    assert (7, 0) == (marked["web", ONE].mark, marked["web", TWO].mark)
