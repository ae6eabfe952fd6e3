"""No kernel here: nobody to wait for, and a routing table of our own."""

from __future__ import annotations

import pytest

from lbctl.shared import syscall


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    """
    Count how often packets were waited for.
    """
    calls = []
    monkeypatch.setattr(syscall, "wait_for_packets", lambda: calls.append(1))
    return calls


@pytest.fixture
def trie(monkeypatch):
    """
    Let the system calls for maps work on a dictionary.
    """
    entries = {}
    monkeypatch.setattr(syscall, "map_update", lambda _, k, v: entries.__setitem__(k, v))
    monkeypatch.setattr(syscall, "map_delete", lambda _, k: entries.__delitem__(k))
    monkeypatch.setattr(syscall, "map_keys", lambda *_: list(entries))
    monkeypatch.setattr(syscall, "map_lookup", lambda _, k, __: entries.get(k))
    return entries
