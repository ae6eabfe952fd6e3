"""What the traced program says of a frame, side by side with what the program then does."""

from __future__ import annotations

from lbctl.control.explaining import frames as built
from lbctl.control.explaining.headers import decode
from lbctl.shared import syscall
from lbctl.shared.abi import Stage, Verdict
from tests.support.progrun import LOOPBACK, OUTSIDE, Ran

CONNECTIONS = ("connections", "details")


def explain(switch, frame, nic=OUTSIDE):
    """Try a frame; the whole trial."""
    switch.now_in(nic)
    return switch.dataplane.explain(frame, LOOPBACK, built.about(frame, decode(frame)))


def foretold(switch, frame, nic=OUTSIDE):
    """What the trial says would become of a frame."""
    trial = explain(switch, frame, nic)
    out = b"" if trial.action == syscall.DROP else trial.out
    return Ran(trial.action, out, Verdict(int(trial.traces["verdict"][Stage.FINISH])))


def both(switch, frame, nic=OUTSIDE):
    """
    What is foretold of a frame, and what then happens to it.

    Within one tick of the clock, by which a retry chooses.
    """
    while True:
        kept = {name: switch.memory[name].copy() for name in CONNECTIONS}
        tick = switch.clock.now()
        pair = foretold(switch, frame, nic), switch.run(frame, nic)
        if tick == switch.clock.now():
            return pair
        for name, before in kept.items():
            switch.memory[name][:] = before


def contents(switch):
    """Every byte of the tables that packets see; of the NICs, as both runs register them."""
    return {name: table.tobytes() for name, table in switch.memory.items()}
