"""Switches for single packets: compiled once for each set of features, empty for each test."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from tests.support.progrun import ALL, SharedClock, machine


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
