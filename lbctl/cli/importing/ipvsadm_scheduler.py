"""The schedulers of IPVS: choose the nearest of ours, and say what is not the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lbctl.model import Scheduler

if TYPE_CHECKING:
    from lbctl.cli.importing.ipvsadm_words import Line
    from lbctl.cli.importing.remarks import Remarks

USUAL = "wlc"
SAME = {
    "rr": Scheduler.RR,
    "wrr": Scheduler.WRR,
    "lc": Scheduler.LC,
    "wlc": Scheduler.WLC,
    "sh": Scheduler.SH,
    "mh": Scheduler.MAGLEV,
}
NEAREST = {
    "sed": (Scheduler.WLC, "wlc does not count the connection that is to come"),
    "nq": (Scheduler.WLC, "wlc looks for the fewest connections, not for an idle server first"),
    "lblc": (Scheduler.WLC, "one VIP is one destination, so nothing is local to a server"),
    "lblcr": (Scheduler.WLC, "one VIP is one destination, so nothing is local to a server"),
    "dh": (Scheduler.MAGLEV, "one VIP is one destination: maglev hashes the whole flow"),
    "twos": (Scheduler.P2C, "p2c also heeds what load agents tell"),
}
ONE_AT_A_TIME = {"fo", "ovf"}  # codespell:ignore fo
NO_ORDER = "the servers take turns by weight or stand in for each other; make pools with `backup`"
# Of mh and sh: what is hashed beside the client's address.
PORTS = {"mh-port", "sh-port", "flag-2"}
FALLBACKS = {"mh-fallback", "sh-fallback", "flag-1"}
HASHES = ("sh", "mh")


def scheduler(line: Line, remarks: Remarks) -> Scheduler:
    """
    Choose the scheduler of a service.

    A service that is persistent gets `sh`.  Raises ValueError where none of ours comes near.
    """
    name = line.options.get("-s", USUAL)
    if name in ONE_AT_A_TIME:
        raise ValueError(f"scheduler {name}: {NO_ORDER}")
    found = _nearest(name, line, remarks)
    if "-p" in line.options and found is not Scheduler.SH:
        what = f"-p {line.options['-p']}".strip()
        why = "scheduler sh: a client keeps its server by the hash of its address, without end"
        remarks.differs(line.number, what, f"{why}; {name} is lost")
        return Scheduler.SH
    if "-p" in line.options:
        remarks.differs(line.number, "-p", "sh keeps clients with their servers by itself")
    return found


def _nearest(name: str, line: Line, remarks: Remarks) -> Scheduler:
    flags = set(line.options.get("-b", "").split(",")) - {""}
    ports = bool(flags & PORTS)
    if name in HASHES and flags <= PORTS | FALLBACKS:
        if name == "mh" and not ports:
            why = "maglev hashes the client's port as well; sh is as maglev, without the port"
            remarks.differs(line.number, "-s mh", why)
        return Scheduler.MAGLEV if ports or name == "mh" else Scheduler.SH
    if flags:
        what = f"-b {line.options['-b']}"
        remarks.not_taken(line.number, what, f"scheduler {name} has no such flags here")
    if name in SAME:
        return SAME[name]
    ours, why = NEAREST.get(name, (Scheduler.WLC, "there is none of that name"))
    remarks.differs(line.number, f"-s {name}", f"scheduler {ours}: {why}")
    return ours
