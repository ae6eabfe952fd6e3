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


@pytest.fixture(autouse=True)
def tries(monkeypatch):
    """
    Let the system calls for maps work on dictionaries: 0 is the routes, 1 the rules.
    """
    tries = ({}, {})
    monkeypatch.setattr(syscall, "map_update", lambda fd, k, v: tries[fd].__setitem__(k, v))
    monkeypatch.setattr(syscall, "map_delete", lambda fd, k: tries[fd].__delitem__(k))
    monkeypatch.setattr(syscall, "map_keys", lambda fd, _: list(tries[fd]))
    monkeypatch.setattr(syscall, "map_lookup", lambda fd, k, _: tries[fd].get(k))
    return tries


@pytest.fixture
def trie(tries):
    """
    The routes.
    """
    return tries[0]
