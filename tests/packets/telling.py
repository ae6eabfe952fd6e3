"""A controller over single frames: pools that are published, and packets that are explained."""

from __future__ import annotations

from lbctl.control.explaining import explanation
from lbctl.control.explaining.arrival import Way
from lbctl.control.explaining.questions import Protocol, read_question
from lbctl.control.master import Master
from lbctl.control.program_state import NothingRuns
from lbctl.control.standing import Standing, Standings
from lbctl.control.transition import Publications
from lbctl.model import Configuration, State, Timeouts
from lbctl.shared.programs import AppService, Programs
from lbctl.switching.nics import AttachedNic
from tests.packets.world import WEB4
from tests.support import frames
from tests.support.progrun import INSIDE, LOOPBACK, MACS, OUTSIDE, PROGRAM, mac_bytes

CLIENT, VIP, SERVER, SECOND = WEB4.client, WEB4.vip, WEB4.server, WEB4.second
WEB = {
    "name": "web",
    "vips": [f"{VIP}/tcp"],
    "backends": [{"address": SERVER}],
    "table_size": 101,
}
NAMES = {"outside": OUTSIDE, "inside": INSIDE, "lb0-s": PROGRAM}
ROUTER = "198.51.100.1"


class Kernel:
    """Servers are inside, everybody else is behind a router outside."""

    def way_to(self, address):
        """Tell the NIC by its ifindex, which here is its slot, plus 100."""
        inside = str(address).startswith("10.0.")
        return Way(100 + (INSIDE if inside else OUTSIDE), str(address) if inside else ROUTER)

    def mac_of(self, way):
        """Tell a MAC."""
        inside = way.neighbor != ROUTER
        return mac_bytes(frames.server_mac(way.neighbor) if inside else frames.ROUTER)


class Plane:
    """The switch with NICs that have names."""

    def __init__(self, switch):
        self.switch, self.configuration = switch, switch.configuration
        self.device = LOOPBACK  # which NIC of the kernel that is

    def attached(self):
        """Two NICs and a pseudo interface, all of which are the loopback device."""
        return [
            AttachedNic(name, 100 + slot, "native", "", slot, mac_bytes(MACS[slot]))
            for name, slot in NAMES.items()
        ]

    def explain(self, frame, ifindex, about, queue):
        """Try a frame that comes in by one of them."""
        self.switch.now_in(ifindex - 100)
        nics = self.switch.memory["nics"]
        nics[self.device] = nics[LOOPBACK]
        return self.switch.dataplane.explain(frame, self.device, about, queue)


class Told:
    """A controller that has published what a test wants."""

    def __init__(self, switch, *pools, down=(), apps=(), pseudo=(), **host):
        self.switch, self.dataplane, self.master = switch, Plane(switch), Master()
        self.publications, self.programs = Publications(), NothingRuns()
        parts = {"pools": [WEB | pool for pool in pools], "apps": apps, "pseudo": pseudo}
        self.configuration = Configuration.model_validate(parts)
        self.publish(down, host)

    def publish(self, down=(), host=None):
        """Publish, with those servers down."""
        troubles = {
            (pool.name, backend.address): Standing(State.DOWN, "no answer")
            for pool in self.configuration.pools
            for backend in pool.backends
            if str(backend.address) in down
        }
        self.master.standings = Standings(troubles, {})

        def hop(address):
            return self.switch.host(str(address), **(host or {}))

        services = self.master.services(self.configuration, hop)
        programs = Programs(
            tuple(AppService(app.vips, app.on_exit) for app in self.configuration.apps),
            self.switch.pseudo(
                *(str(i.ip) for one in self.configuration.pseudo for i in one.addresses)
            ),
        )
        self.switch.configuration.publish(services, Timeouts(), 1, programs=programs)

    def ask(self, *words, nic=None, queue=0, **more):
        """Explain a packet in words."""
        question = read_question(Protocol(words[0]), *words[1:], **more)
        return explanation.explain(self, question, nic, Kernel(), queue)

    def of(self, frame, **more):
        """Explain a frame."""
        return explanation.explain_frames(self, [frame], None, kernel=Kernel(), **more)[0]


def text(told, stage):
    """What one stage has said."""
    (found,) = [one.text for one in told.stages if one.stage == stage]
    return found
