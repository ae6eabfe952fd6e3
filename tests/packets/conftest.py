"""Switches for single packets: compiled once for each set of features, empty for each test."""

from __future__ import annotations

from contextlib import ExitStack
from uuid import uuid4

import pytest
from pyroute2 import IPRoute, netns

from tests.support.progrun import ALL, LOOPBACK, SharedClock, machine


@pytest.fixture(scope="session")
def machines():
    """
    Switches by their features; each is compiled when the first test asks for it.
    """
    with ExitStack() as cleanup:
        clock, made = SharedClock(), {}

        def get(features=ALL, **options):
            if features not in made:
                made[features] = cleanup.enter_context(machine(features, clock=clock, **options))
            return made[features]

        yield get
        super(SharedClock, clock).close()


@pytest.fixture
def switch(machines):
    """
    An empty switch whose program can do everything.
    """
    machine = machines()
    machine.reset()
    return machine


@pytest.fixture(scope="module")
def loopback():
    """
    The loopback device of a namespace that is entered: test runs say that packets come by it.
    """
    name = f"lbl-{uuid4().hex[:8]}"
    netns.create(name)
    try:
        netns.pushns(name)
        try:
            with IPRoute() as ip:
                ip.link("set", index=LOOPBACK, state="up")
            yield name
        finally:
            netns.popns()
    finally:
        netns.remove(name)
