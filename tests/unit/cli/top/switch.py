"""What a switch says of itself, as the tests of `top` have it: as many pools as wanted."""

from __future__ import annotations

CALM = {
    "name": "default",
    "version": "0.1.0",
    "generation": 7,
    "active_buffer": "B",
    "connections": {"used": 16384, "size": 65536},
    "pools": 1,
    "backends": {},
    "apps": [],
    "warnings": [],
}
FINE = {"served_by": None, "panicking": False, "problem": None}
UNKNOWN = {"wanted": 0.5, "share": 0.5, "measured": None, "load": None, "report_age_seconds": None}


def status(nics=("eth1",), **more):
    """The switch at a glance."""
    found = [{"name": name, "mode": "native", "packets": 0, "drops": 0} for name in nics]
    return {**CALM, "nics": found, **more}


def server(number=1, **more):
    """A back-end of a pool."""
    known = {"weight": 1, "state": "active", "reason": "", "connections": 10 * number}
    return {"address": f"10.0.1.{number}:8080", **known, **UNKNOWN, **more}


def pool(name="web", servers=(), **more):
    """A pool."""
    vips = ["203.0.113.10:80/tcp", "203.0.113.10:443/tcp"]
    how = {"vips": vips, "forward": "nat", "scheduler": "maglev", **FINE, "served_by": name}
    return {"name": name, **how, "backends": list(servers), **more}


def stats(pools, seconds, nics=("eth1",)):
    """
    All counters after so many seconds.

    A NIC has 1000 packets of 1000 bytes each second, and 5 drops; a back-end 100 packets and 10
    connections; a pool 2 drops.
    """
    verdicts = {
        "TO_BACKEND": {"packets": 1000 * seconds, "bytes": 1_000_000 * seconds},
        "DROP_NO_BACKEND": {"packets": 5 * seconds, "bytes": 0},
    }
    return {
        "nics": [{"name": name, "verdicts": verdicts} for name in nics],
        "services": [
            {
                "pool": one["name"],
                "app": None,
                "vip": vip,
                "verdicts": {"DROP_NO_BACKEND": 2 * seconds},
            }
            for one in pools
            for vip in one["vips"][:1]
        ],
        "backends": [
            {
                "pool": one["name"],
                "vip": one["vips"][0],
                "address": each["address"],
                "packets_in": 60 * seconds,
                "packets_out": 40 * seconds,
                "connections": 10 * seconds,
            }
            for one in pools
            for each in one["backends"]
        ],
    }


def drop(reason="DROP_NO_BACKEND", packets=10, nic="eth1"):
    """Packets that were discarded."""
    return {"reason": reason, "packets": packets, "bytes": 64 * packets, "nic": nic}


def check(number=1, **more):
    """What the check of a back-end found."""
    found = {"check": "http", "up": True, "reason": "status 200", "since": "2025-01-02T03:04:05Z"}
    where = {"pool": "web", "address": f"10.0.1.{number}:8080"}
    return {**where, **found, "inhibited_until": None, **more}


def app(name="voip", seconds=0, **more):
    """An application that gets 100 packets each second, and loses 3; 2 more are discarded."""
    lost = {"rx_ring_full": 3 * seconds, "fill_empty": 0, "rx_dropped": 0}
    runs = {"state": "running", "pid": 4711, "run_by": "voip", "since": "2025-01-02T03:04:05Z"}
    return {
        "name": name,
        "vips": ["203.0.113.20:5060/udp"],
        **runs,
        "packets": 100 * seconds,
        "verdicts": {"TO_APP": 100 * seconds, "DROP_APP_GONE": 2 * seconds, "RESET": 7},
        "ports": [lost],
        "next": None,
        **more,
    }
