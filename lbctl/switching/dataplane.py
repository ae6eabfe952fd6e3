"""The data plane: one instance's tables, program and NICs, as the control processor holds them."""

from __future__ import annotations

import hashlib
import logging
import os
from typing import TYPE_CHECKING

from lbctl.errors import LbctlError
from lbctl.model import ANY_PORT, Forward, Mode, Nic, OnDown
from lbctl.shared import syscall
from lbctl.shared.clock import Clock
from lbctl.shared.configuration import ConfigurationTable
from lbctl.shared.connections import ConnectionTable
from lbctl.shared.counters import Counters
from lbctl.shared.routing import RoutingTable
from lbctl.switching import capture, pins, program
from lbctl.switching.explain import Explainer
from lbctl.switching.nics import AttachedNic, Nics

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from lbctl.model import Configuration
    from lbctl.shared.tables import Capacity, Tables
    from lbctl.switching.explain import Trial

log = logging.getLogger(__name__)

# LB_WITH_..., as bits of one number
FEATURES = (
    *("IPV6", "NAT", "DSR", "ANY_PORT", "SHARED", "RULES", "RESET_DOWN"),
    *("PSEUDO", "APPS"),
)


def features(configuration: Configuration) -> int:
    """Which features of the program this configuration uses, as bits in the order of FEATURES."""
    pools = [pool for pool in configuration.pools if pool.vips]
    vips = [vip for pool in pools for vip in pool.vips]
    vips += [vip for app in configuration.apps for vip in app.vips]
    own = [interface for pseudo in configuration.pseudo for interface in pseudo.addresses]
    nat = [pool for pool in pools if pool.forward is Forward.NAT]
    servers = [
        (vip.protocol, address)
        for pool in nat
        for vip in pool.vips
        for address in {b.address for p in configuration.stand_ins(pool) for b in p.backends}
    ]
    wanted = (
        any(address.version == 6 for address in (*own, *(vip.address for vip in vips))),
        bool(nat) or not pools,
        any(pool.forward is Forward.DSR for pool in pools),
        any(vip.port == ANY_PORT for vip in vips),
        len(servers) != len(set(servers)),
        any(pool.rules for pool in pools),
        any(pool.on_down is OnDown.RESET for pool in pools),
        bool(own),
        bool(configuration.apps),
    )
    return sum(1 << bit for bit, used in enumerate(wanted) if used)


class Dataplane:
    """Everything of one instance that outlives the daemon.  Not safe for several threads."""

    def __init__(self, pin_dir: Path, tables: Tables) -> None:
        self._pins, self._tables = pin_dir, tables
        self._clock = Clock()
        self.connections = ConnectionTable(tables, self._clock)
        self.configuration = ConfigurationTable(tables, self.connections, self._clock)
        self.connections.records = self.configuration.backends
        self.connections.run_forget = self._run_forget
        self.routing = RoutingTable(tables, self.connections, self.configuration.next_hops())
        self.counters = Counters(tables)
        self._nics = Nics(pin_dir / "links", tables)
        self._explainer = Explainer(pin_dir / pins.EXPLAIN, tables, self._clock)
        self._capture: capture.Capture | None = None
        capture.remove(pin_dir / pins.CAPTURE)  # of a daemon that was killed

    @classmethod
    def open(cls, pin_dir: Path, capacity: Capacity) -> Self:
        """
        Take over the instance pinned in *pin_dir*, or make a new one there.

        Raises LbctlError if what is there does not fit this version and *capacity*.
        """
        tables = pins.open_tables(pin_dir, capacity)
        try:
            tables.make_keys()
            return cls(pin_dir, tables)
        except BaseException:
            tables.close()
            raise

    @property
    def capacity(self) -> Capacity:
        """How much fits into the tables."""
        return self._tables.capacity

    def ensure(self, configuration: Configuration) -> None:
        """
        Have a program that can do what *configuration* needs, on every NIC.

        One that can do more is kept: to swap costs half a second of compiling, and packets nothing.
        """
        wanted = features(configuration)
        present = self._program()
        if present is not None and _features_of(present) & wanted == wanted:
            self._put(present)
            return
        if present is not None and present.name.endswith(self._digest()):
            wanted |= _features_of(present)  # two pools in turn should not swap for ever
        path = self._pins / "programs" / f"{wanted:02x}_{self._digest()}"
        self._build(path, wanted)
        self._put(path)
        for old in path.parent.iterdir():
            if old != path:
                old.unlink()

    def attach(self, nic: Nic) -> AttachedNic:
        """Attach one NIC; see Nics.attach.  `ensure` must have been called."""
        return self._nics.attach(nic, self._capture.program if self._capture else self._plain())

    def attach_pseudo(self, inner: str) -> AttachedNic:
        """Attach the switch's end of a pseudo interface."""
        present = self._capture.program if self._capture else self._plain()
        return self._nics.attach(Nic(name=inner, mode=Mode.NATIVE), present, pseudo=True)

    def detach(self, name: str) -> None:
        """Take the program off one NIC."""
        self._nics.detach(name)

    def attached(self) -> list[AttachedNic]:
        """The NICs that have the program."""
        return self._nics.attached()

    def refresh_nics(self) -> list[str]:
        """Follow renamed NICs and changed MACs; returns the names of NICs that vanished."""
        return self._nics.refresh()

    def explain(self, frame: bytes, ifindex: int, about: bytes = b"", queue: int = 0) -> Trial:
        """Try a frame that comes in by the NIC *ifindex*, on tables of its own; see Explainer."""
        present = {path.name for path in (self._pins / "programs").iterdir()}
        if self._explainer.name not in present:
            path = self._program()
            if path is None:
                raise LbctlError("lbctl was upgraded since lbctld was started; restart lbctld")
            self._explainer.prepare(path.name, self._macros(_features_of(path)))
        return self._explainer.run(frame, ifindex, about, queue)

    def new_capture(self, size: int = capture.BYTES) -> capture.Capture:
        """
        Make all that a capture needs; one at a time.  Other threads may work meanwhile.

        Raises LbctlError where it is not to be had.
        """
        capture.require_kernel()
        made = capture.Capture(self._pins / pins.CAPTURE, self._tables.capacity, size)
        try:
            made.build(self._with_capture(self._plain()))
        except BaseException:
            made.close()
            raise
        return made

    def start_capture(self, made: capture.Capture) -> None:
        """Put its program on every NIC; it takes nothing before its filter says so."""
        made.plain = self._plain()
        self._capture = made
        try:
            self._nics.upgrade(made.build(self._with_capture(made.plain)))
        except BaseException:
            self.stop_capture()
            raise

    def stop_capture(self) -> None:
        """Put the plain program back; when this returns nothing more is captured."""
        if self._capture is None:
            return
        self._nics.upgrade(self._capture.plain)
        self._capture.unpin()
        self._capture = None
        syscall.wait_for_packets()

    def destroy(self) -> None:
        """Take the program off all NICs and remove every pin: packets are the kernel's again."""
        for nic in self.attached():
            self.detach(nic.name)
        self.close()
        pins.remove(self._pins)

    def close(self) -> None:
        """Let go; packets go on."""
        self.stop_capture()
        self._explainer.close()
        self._nics.close()
        self._clock.close()
        self._tables.close()

    def _put(self, path: Path) -> None:
        """Have the program *path* on every NIC; while somebody captures, with that."""
        if self._capture:
            self._capture.plain = path
            try:
                self._nics.upgrade(self._capture.build(self._with_capture(path)))
            except LbctlError as error:  # no reason to refuse a configuration
                log.warning("the capture ends: %s", error)
                self._capture.failure = str(error)
                self.stop_capture()
            return
        self._nics.upgrade(path)

    def _plain(self) -> Path:
        """The pinned program, which `ensure` has made."""
        path = self._program()
        if path is None:
            raise RuntimeError("ensure() comes first")
        return path

    def _build(self, path: Path, wanted: int) -> None:
        """Compile both programs, then replace the old ones: a failure changes nothing."""
        forget = self._pins / pins.FORGET
        fresh = {final: final.with_name(f"{final.name}_new") for final in (path, forget)}
        for pin in fresh.values():
            pin.unlink(missing_ok=True)
        macros = self._macros(wanted)
        program.compile_program(fresh[path], macros, also={program.FORGET: fresh[forget]})
        for final, pin in fresh.items():
            pin.replace(final)

    def _run_forget(self, forgotten: bytes) -> int:
        """Run the program lb_forget on a list of connections; returns how many it freed."""
        descriptor = syscall.get(self._pins / pins.FORGET)
        try:
            return syscall.test_run(descriptor, forgotten).action
        finally:
            os.close(descriptor)

    def _program(self) -> Path | None:
        """The pinned program, if it was made from these sources for these tables."""
        suffix = self._digest()
        paths = list((self._pins / "programs").iterdir())
        current = [path for path in paths if path.name.endswith(suffix)]
        return max(current, key=_features_of, default=None)

    def _macros(self, wanted: int) -> dict[str, int | str]:
        sizes = self._tables.capacity.macros()
        return {
            **sizes,
            "LB_PINS": f'"{self._pins / "tables"}"',
            "LB_TICK_SHIFT": self._clock.shift,
            **{f"LB_WITH_{name}": wanted >> bit & 1 for bit, name in enumerate(FEATURES)},
            "LB_WITH_FRAGS": int(program.takes_fragments()),
            "LB_WITH_TRACE": 0,
            "LB_WITH_CAPTURE": 0,
        }

    def _with_capture(self, path: Path) -> dict[str, int | str]:
        """How to make the same program with a capture, which is to find IPv6 hosts in any case."""
        return self._macros(_features_of(path) | 1 << FEATURES.index("IPV6"))

    def _digest(self) -> str:
        """Names sources and sizes: a program with this name need not be compiled again."""
        text = program.essence() + str(self._macros(0))
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _features_of(path: Path) -> int:
    return int(path.name.partition("_")[0], 16)
