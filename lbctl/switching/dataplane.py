"""The data plane: one instance's tables, program and NICs, as the control processor holds them."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

from lbctl.model import ANY_PORT, Forward, OnDown
from lbctl.shared import syscall
from lbctl.shared.clock import Clock
from lbctl.shared.configuration import ConfigurationTable
from lbctl.shared.connections import ConnectionTable
from lbctl.shared.counters import Counters
from lbctl.shared.routing import RoutingTable
from lbctl.switching import pins, program
from lbctl.switching.nics import AttachedNic, Nics

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Self

    from lbctl.model import Configuration, Nic
    from lbctl.shared.tables import Capacity, Tables

# LB_WITH_..., as bits of one number
FEATURES = ("IPV6", "NAT", "DSR", "ANY_PORT", "SHARED", "RULES", "RESET_DOWN")


def features(configuration: Configuration) -> int:
    """Which features of the program this configuration uses, as bits in the order of FEATURES."""
    pools = [pool for pool in configuration.pools if pool.vips]
    vips = [vip for pool in pools for vip in pool.vips]
    nat = [pool for pool in pools if pool.forward is Forward.NAT]
    servers = [
        (vip.protocol, address)
        for pool in nat
        for vip in pool.vips
        for address in {b.address for p in configuration.stand_ins(pool) for b in p.backends}
    ]
    wanted = (
        any(vip.address.version == 6 for vip in vips),
        bool(nat) or not pools,
        any(pool.forward is Forward.DSR for pool in pools),
        any(vip.port == ANY_PORT for vip in vips),
        len(servers) != len(set(servers)),
        any(pool.rules for pool in pools),
        any(pool.on_down is OnDown.RESET for pool in pools),
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

    def ensure(self, configuration: Configuration) -> None:
        """
        Have a program that can do what *configuration* needs, on every NIC.

        One that can do more is kept: to swap costs half a second of compiling, and packets nothing.
        """
        wanted = features(configuration)
        present = self._program()
        if present is not None and _features_of(present) & wanted == wanted:
            self._nics.upgrade(present)
            return
        if present is not None and present.name.endswith(self._digest()):
            wanted |= _features_of(present)  # two pools in turn should not swap for ever
        path = self._pins / "programs" / f"{wanted:02x}_{self._digest()}"
        self._build(path, wanted)
        self._nics.upgrade(path)
        for old in path.parent.iterdir():
            if old != path:
                old.unlink()

    def attach(self, nic: Nic) -> AttachedNic:
        """Attach one NIC; see Nics.attach.  `ensure` must have been called."""
        path = self._program()
        if path is None:
            raise RuntimeError("ensure() comes before attach()")
        return self._nics.attach(nic, path)

    def detach(self, name: str) -> None:
        """Take the program off one NIC."""
        self._nics.detach(name)

    def attached(self) -> list[AttachedNic]:
        """The NICs that have the program."""
        return self._nics.attached()

    def refresh_nics(self) -> list[str]:
        """Follow renamed NICs and changed MACs; returns the names of NICs that vanished."""
        return self._nics.refresh()

    def destroy(self) -> None:
        """Take the program off all NICs and remove every pin: packets are the kernel's again."""
        for nic in self.attached():
            self.detach(nic.name)
        self.close()
        pins.remove(self._pins)

    def close(self) -> None:
        """Let go; packets go on."""
        self._nics.close()
        self._clock.close()
        self._tables.close()

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
            "LB_WITH_TRACE": 0,
            "LB_WITH_CAPTURE": 0,
        }

    def _digest(self) -> str:
        """Names sources and sizes: a program with this name need not be compiled again."""
        text = program.essence() + str(self._macros(0))
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _features_of(path: Path) -> int:
    return int(path.name.partition("_")[0], 16)
