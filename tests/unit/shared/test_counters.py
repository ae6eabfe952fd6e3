"""The counters: summed over processors, by name."""

from __future__ import annotations

import numpy as np

from lbctl.shared import abi, tables
from lbctl.shared.abi import Verdict
from lbctl.shared.counters import Counters
from tests.unit.shared.fakes import TINY, FakeTables


def fill(fake, cpu, nic, verdict, packets):
    """Count packets of 100 bytes."""
    index = (cpu * abi.NICS_MAX + nic) * abi.VERDICTS + verdict
    fake["verdicts"][index] = (packets, packets * 100)


def test_by_nic(monkeypatch):
    """
    All processors together; verdicts that nobody had are left out.
    """
    monkeypatch.setattr(tables, "possible_cpus", lambda: 3)
    fake = FakeTables()
    for cpu, nic, verdict, packets in (
        (0, 0, Verdict.TO_BACKEND, 5),
        (2, 0, Verdict.TO_BACKEND, 7),
        (1, 63, Verdict.DROP_INTERNAL, 1),
    ):
        fill(fake, cpu, nic, verdict, packets)
    counters = Counters(fake)

    assert [(0, Verdict.TO_BACKEND, 12, 1200), (63, Verdict.DROP_INTERNAL, 1, 100)] == list(
        counters.by_nic()
    )

    counters.clear_nic(0)
    assert [(63, Verdict.DROP_INTERNAL, 1, 100)] == list(counters.by_nic())


def test_by_backend(monkeypatch):
    """
    Each column for itself.
    """
    monkeypatch.setattr(tables, "possible_cpus", lambda: 2)
    fake = FakeTables()
    names = abi.BACKEND_COUNTER.names
    for cpu in range(2):
        row = fake["traffic"][cpu * TINY.backends + 3 :][:1]
        row[0] = tuple(range(1, len(names) + 1))
    total = Counters(fake).by_backend()

    assert tuple(range(2, 2 * len(names) + 1, 2)) == total[3].item()
    assert 1 == np.count_nonzero(total["packets_in"])


def test_every_verdict_has_a_note():
    """
    It is what people read when they ask why.
    """
    named = set(Verdict) - {Verdict.VERDICT_MAX}

    assert named == set(abi.VERDICT_NOTES)
    assert abi.VERDICTS >= Verdict.VERDICT_MAX
    assert all(note.endswith(".") for note in abi.VERDICT_NOTES.values())
