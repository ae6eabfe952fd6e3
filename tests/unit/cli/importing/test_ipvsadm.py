"""
`ipvsadm -Sn`, read: what becomes of each option.
"""

from __future__ import annotations

import pytest

from lbctl.cli.importing import ipvsadm
from lbctl.errors import LbctlError
from tests.unit.cli.importing.saying import LOST, OTHER, by_name, remarks, servers, vips, why

SHOP = """\
-A -t 203.0.113.10:80 -s wrr
-a -t 203.0.113.10:80 -r 10.0.1.11:8080 -m -w 1
-a -t 203.0.113.10:80 -r 10.0.1.12:8080 -m -w 3
-A -t [2001:db8::10]:443 -s wlc
-a -t [2001:db8::10]:443 -r [2001:db8:1::11]:443 -g -w 100
-A -u 203.0.113.53:53 -s rr
-a -u 203.0.113.53:53 -r 10.0.1.53:53 -g -w 1
"""


def read(*lines, merge=False):
    """Read lines."""
    return ipvsadm.read("\n".join(lines), merge=merge)


def one(*words, server="-r 10.0.1.11:80 -m -w 1"):
    """Read a service with these words, and a server."""
    return read(f"-A -t 203.0.113.10:80 {' '.join(words)}", f"-a -t 203.0.113.10:80 {server}")


def pool(imported):
    """The only pool."""
    (only,) = imported.configuration.pools
    return only


def test_services_become_pools():
    """
    One for each, named by its VIP; addresses, ports, weights, forward and scheduler as they were.
    """
    imported = read(SHOP)
    pools = imported.configuration.pools

    assert {} == remarks(imported)
    assert [
        ("203.0.113.10-80-tcp", ["203.0.113.10:80/tcp"], "nat", "wrr"),
        ("2001-db8--10-443-tcp", ["[2001:db8::10]:443/tcp"], "dsr", "wlc"),
        ("203.0.113.53-53-udp", ["203.0.113.53:53/udp"], "dsr", "rr"),
    ] == [(p.name, vips(p), p.forward, p.scheduler) for p in pools]
    assert [("10.0.1.11:8080", 1, "active"), ("10.0.1.12:8080", 3, "active")] == servers(pools[0])
    assert [("[2001:db8:1::11]:443", 100, "active")] == servers(pools[1])


def test_lines_as_people_write_them():
    """
    With the program's name, long options, values that are attached, comments, in Windows' form.
    """
    imported = read(
        "# web",
        "/sbin/ipvsadm --add-service --tcp-service=203.0.113.10:80 --scheduler rr  # in turn\r",
        "sudo ipvsadm -at 203.0.113.10:80 -r 10.0.1.11 -mw5",
        "",
    )

    assert {} == remarks(imported)
    assert [("10.0.1.11:80", 5, "active")] == servers(pool(imported))
    assert "nat" == pool(imported).forward


def test_what_ipvsadm_leaves_out():
    """
    The scheduler is wlc, the way is direct, the weight is 1.
    """
    made = pool(one(server="-r 10.0.1.11:80"))

    assert ("wlc", "dsr") == (made.scheduler, made.forward)
    assert [("10.0.1.11:80", 1, "active")] == servers(made)


@pytest.mark.parametrize(
    ("words", "scheduler", "differs"),
    [
        ("-s rr", "rr", False),
        ("-s lc", "lc", False),
        ("-s sh", "sh", False),
        ("-s sh -b sh-fallback", "sh", False),
        ("-s sh -b sh-port", "maglev", False),
        ("-s mh -b mh-port,mh-fallback", "maglev", False),
        ("-s mh", "maglev", True),
        ("-s dh", "maglev", True),
        ("-s sed", "wlc", True),
        ("-s nq", "wlc", True),
        ("-s lblcr", "wlc", True),
        ("-s twos", "p2c", True),
        ("-s of-my-own", "wlc", True),
        ("-s wrr -p 300", "sh", True),
        ("-s wrr -p", "sh", True),
        ("-s sh -p 300", "sh", True),
    ],
)
def test_schedulers(words, scheduler, differs):
    """
    The same or the nearest, and a remark where it is not the same.
    """
    imported = one(words)

    assert scheduler == pool(imported).scheduler
    assert ({1: OTHER} if differs else {}) == remarks(imported)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("-p 300 -M 255.255.255.0", "-M 255.255.255.0: a client is its whole address"),
        ("-o", "-o: packets of a client's port stay"),
        ("ops", "-o: packets of a client's port stay"),
        ("--pe sip", "--pe sip: nothing in the payload"),
        ("pe sip", "--pe sip: nothing in the payload"),
        ("-s rr -b flag-3", "-b flag-3: scheduler rr has no such flags"),
    ],
)
def test_words_that_are_not_taken(words, said):
    """
    The service is, and it is said which word of it is not.
    """
    imported = one(words)

    assert [("10.0.1.11:80", 1, "active")] == servers(pool(imported))
    assert {1: LOST} == remarks(imported, LOST)
    assert said in why(imported, 1)


@pytest.mark.parametrize(
    ("service", "said"),
    [
        ("-f 7", "services by firewall mark do not exist"),
        ("-f 7 -6", "services by firewall mark do not exist"),
        ("--sctp-service 203.0.113.10:80", "only TCP and UDP"),
        ("-t 127.0.0.1:80", "not a unicast address"),
        ("-t shop.example.com:http", "names become numbers with -n: `ipvsadm -Sn`"),
        ("-t 203.0.113.10:80 -s ovf", "make pools with `backup`"),
    ],
)
def test_services_that_are_not_taken(service, said):
    """
    Neither are their servers, and each line is named.
    """
    imported = read(f"-A {service}", f"-a {service.partition(' -s')[0]} -r 10.0.1.11:80 -m")

    assert () == imported.configuration.pools
    assert {1: LOST, 2: LOST} == remarks(imported)
    assert said in why(imported, 1)
    assert "its service was not taken" in why(imported, 2)


@pytest.mark.parametrize(
    ("server", "said"),
    [
        ("-r 10.0.1.12:80 -i", "there are no tunnels"),
        ("-r 10.0.1.12:8080 -g", "dsr cannot change the port: the server must listen on 80"),
        ("-r [2001:db8::12]:80 -m", "one address family"),
        ("-r 10.0.1.11:80 -m", "this server is there already"),
        ("-r web.example.com:80 -m", "is not an IP address"),
        ("-r 10.0.1.12:80 -m -w many", "the weight must be a number, not 'many'"),
        ("-r 10.0.1.12:80 -m -w \u00b2", "the weight must be a number"),
        ("-r 10.0.1.12:80 -g -w 1", "most of these have nat"),
        ("-r 10.0.1.12:80 -g -m", "one of -g, -m and -i"),
        ("-r", "-r has no value"),
        ("-m", "-a needs -r"),
        ("-r 10.0.1.12:80 --warp", "'--warp' is no option of ipvsadm"),
        ("-r 10.0.1.12:80 -r 10.0.1.13:80", "-r stands there twice"),
    ],
)
def test_servers_that_are_not_taken(server, said):
    """
    The others of the service are.
    """
    imported = read(
        "-A -t 203.0.113.10:80 -s rr",
        "-a -t 203.0.113.10:80 -r 10.0.1.11:80 -m",
        f"-a -t 203.0.113.10:80 {server}",
    )

    assert [("10.0.1.11:80", 1, "active")] == servers(pool(imported))
    assert {3: LOST} == remarks(imported)
    assert said in why(imported, 3)


@pytest.mark.parametrize(
    "line",
    [
        "-C",
        "-E -t 203.0.113.10:80 -s rr",
        "-d -t 203.0.113.10:80 -r 10.0.1.11:80",
        "--set 900 120 300",
        "--start-daemon master --mcast-interface eth0",
        "-A -t 203.0.113.10:80 -a",
        "-A -s rr",
        "-a -t 203.0.113.99:80 -r 10.0.1.11:80",
        "-A -t 203.0.113.10:80 -s lc",
        "-A -t 203.0.113.10:080 -s lc",
        "modprobe ip_vs",
    ],
)
def test_other_lines(line):
    """
    What adds nothing, or nothing new, is said not to be taken, and changes nothing.
    """
    imported = read("-A -t 203.0.113.10:80 -s rr", line)

    assert "rr" == pool(imported).scheduler
    assert LOST == remarks(imported)[2]


def test_weight_0_drains():
    """
    So that `restore` gives the server work again, which weight 0 would not.
    """
    imported = one(server="-r 10.0.1.11:80 -m -w 0")

    assert [("10.0.1.11:80", 1, "draining")] == servers(pool(imported))
    assert {2: OTHER} == remarks(imported)


def test_thresholds():
    """
    The server is taken, its limits are not; 0 is none.
    """
    imported = one(server="-r 10.0.1.11:80 -m -w 70000 -x 100 -y 0")

    assert [("10.0.1.11:80", 65535, "active")] == servers(pool(imported))
    assert "-w 70000: the highest weight is 65535; -x 100: lbctl does not" in why(imported, 2)
    assert "-y" not in why(imported, 2)


def test_any_port():
    """
    Port 0 is `*`; the servers keep the packet's port, and one of them with another VIP is told of.
    """
    imported = read(
        "-A -t 203.0.113.10:0 -s wlc -p 50",
        "-a -t 203.0.113.10:0 -r 10.0.1.11:0 -m -w 1",
        "-a -t 203.0.113.10:0 -r 10.0.1.12:80 -m -w 1",
        "-a -t 203.0.113.10:0 -r 10.0.1.12:81 -m -w 1",
        "-A -t 203.0.113.11:80",
        "-a -t 203.0.113.11:80 -r 10.0.1.11:80 -m",
    )
    any_port = imported.configuration.pools[0]

    assert ("203.0.113.10-any-tcp", ["203.0.113.10:*/tcp"]) == (any_port.name, vips(any_port))
    assert [("10.0.1.11:1", 1, "active"), ("10.0.1.12:80", 1, "active")] == servers(any_port)
    assert {1: OTHER, 2: OTHER, 3: OTHER, 4: LOST} == remarks(imported)
    assert "10.0.1.11: a server of a VIP with port `*` must not serve another" in why(imported, 0)


def test_merge():
    """
    VIPs with the same servers, way and scheduler share a pool only when it is asked for.
    """
    lines = [
        line
        for port, scheduler in ((80, "rr"), (81, "rr"), (82, "wrr"))
        for line in (
            f"-A -t 203.0.113.10:{port} -s {scheduler}",
            f"-a -t 203.0.113.10:{port} -r 10.0.1.1{port % 2}:80 -m",
            f"-a -t 203.0.113.10:{port} -r 10.0.1.1{1 - port % 2}:80 -m",
        )
    ]
    merged = by_name(read(*lines, merge=True))

    assert 3 == len(read(*lines).configuration.pools)
    assert ["203.0.113.10-80-tcp", "203.0.113.10-82-tcp"] == [*merged]
    both = ["203.0.113.10:80/tcp", "203.0.113.10:81/tcp"]
    assert both == vips(merged["203.0.113.10-80-tcp"])


@pytest.mark.parametrize(
    "text", ["", "\n\n", "IP Virtual Server version 1.2.1 (size=4096)\n", "frontend web\n", "\0"]
)
def test_no_rules_of_ipvsadm(text):
    """
    A text without any service is something else: a table for people, another program's file.
    """
    with pytest.raises(LbctlError, match="there is no service in it"):
        read(text)
