"""Cases without a kernel: a trial that says what a test wants, and names that are there."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from lbctl.control.explaining.case import Case
from lbctl.control.explaining.headers import decode
from lbctl.control.explaining.names import Names
from lbctl.control.program_state import NothingRuns
from lbctl.control.standing import NOTHING_FOUND
from lbctl.model import Configuration, SocketAddress, Vip
from lbctl.shared import abi, syscall
from lbctl.shared.abi import ConnectionKey, Stage, Verdict
from lbctl.shared.records import BackendRecord
from lbctl.switching.explain import Trial
from lbctl.switching.nics import AttachedNic
from tests.support import frames

WEB = Vip.parse("203.0.113.10:80/tcp")
RECORDS = {
    index: BackendRecord(WEB, SocketAddress.parse(f"10.0.1.1{index}:8080")) for index in (1, 2)
}
NIC = AttachedNic("eth0", 2, "native", "", 0, bytes.fromhex(frames.OUTSIDE_MAC.replace(":", "")))
CONFIGURATION = Configuration.model_validate(
    {
        "pools": [
            {
                "name": "web",
                "vips": [str(WEB)],
                "backends": [{"address": str(r.address)} for r in RECORDS.values()],
            }
        ]
    }
)
CLIENT, SERVER = "198.51.100.7:40000", "10.0.1.11:8080"
SYN = frames.tcp(CLIENT, "203.0.113.10:80")
REPLY = frames.tcp(SERVER, CLIENT, "SA", way=frames.from_server(SERVER))
PLAIN = {"service": abi.NONE, "server": abi.NONE, "backend": abi.NONE, "connection": abi.NONE}


def names(configuration=CONFIGURATION, programs=None):
    """
    The names of one pool with two back-ends, whose indices are 1 and 2; the service's is 5.

    That of an application's VIP is 6.
    """
    numbers = {WEB: 5} | {vip: 6 for app in configuration.apps for vip in app.vips}
    table = SimpleNamespace(backends=lambda: RECORDS, service_index=numbers.get)
    plane = SimpleNamespace(attached=lambda: [NIC], configuration=table)
    return Names(
        SimpleNamespace(
            configuration=configuration,
            master=SimpleNamespace(standings=NOTHING_FOUND),
            dataplane=plane,
            programs=programs or NothingRuns(),
        )
    )


def traces(**stages):
    """Traces of the stages that a packet came through: {"select": {"verdict": "CONTINUE"}}."""
    made = np.zeros(Stage.MAX, abi.TRACE)
    for name, value in PLAIN.items():
        made[name] = value
    for name, fields in stages.items():
        row = made[Stage[name.upper()]]
        row["reached"] = 1
        for field, value in fields.items():
            row[field] = Verdict[value] if field in ("verdict", "delivered") else value
    return made


def entry(**fields):
    """One entry of the connection table among eight."""
    made = np.zeros(2 * abi.WAYS, abi.CONNECTION)
    for name, value in {"key": ConnectionKey.FIRST, "backend": 1, **fields}.items():
        made[name][0] = value
    return made


def case(frame=SYN, out=None, action=syscall.DROP, *, found=None, flags=0, **stages):
    """
    A packet that came through *stages*.

    *found*: fields of the entry that there was; *flags*: of the service or of the back-end.
    """
    before = entry(**found) if found else np.zeros(2 * abi.WAYS, abi.CONNECTION)
    rows = np.zeros(3, abi.BACKEND)
    rows["flags"], rows["next_hop"], rows["state"] = flags, 7, abi.BackendState.ACTIVE
    service = np.zeros(1, abi.SERVICE)
    service["flags"] = flags
    made = traces(**stages)
    forward = made["service"][Stage.SERVICE] != abi.NONE
    trial = Trial(
        frame,
        action,
        frame if out is None else out,
        made,
        None,
        before,
        before.copy(),
        np.zeros(2 * abi.WAYS, abi.CONNECTION_DETAIL),
        service[0] if forward else None,
        dict(enumerate(rows)),
        {7: np.zeros(1, abi.NEXT_HOP)[0], 0: np.zeros(1, abi.NEXT_HOP)[0]},
        0,
        1.0,
    )
    return Case(trial, decode(frame), decode(trial.out), NIC, names())
