"""
What is found out about the machine.
"""

from __future__ import annotations

import importlib.machinery
import resource

import pytest

from lbctl.control.preflight import machine

MOUNTED = "29 24 0:26 / /sys/fs/bpf rw - bpf bpf rw\n"
ROOT = "24 1 8:1 / / rw - ext4 /dev/sda rw\n"


@pytest.fixture
def settings(tmp_path):
    """A folder as /proc/sys/net, filled by a test."""

    def write(**values):
        for name, value in values.items():
            path = tmp_path / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{value}\n")
        return tmp_path

    return write


@pytest.mark.parametrize(
    ("text", "expected"),
    [("6.18.4-amd64", (6, 18)), ("5.10.0", (5, 10)), ("7.0", (7, 0)), ("strange", (0, 0))],
)
def test_release(text, expected):
    """
    Two numbers.
    """
    assert expected == machine.release(text)


@pytest.mark.parametrize(("mounts", "expected"), [(ROOT + MOUNTED, True), (ROOT, False)])
def test_bpf_file_system(tmp_path, settings, mounts, expected):
    """
    Whether it is mounted where tables are kept.
    """
    (tmp_path / "mountinfo").write_text(mounts)

    assert expected is machine.look(mounts=tmp_path / "mountinfo", settings=settings()).bpffs


def test_nothing_can_be_read(tmp_path):
    """
    That is no finding.
    """
    nothing = tmp_path / "nothing"
    found = machine.look({4}, mounts=nothing, settings=nothing)

    assert (None, {}, {4}) == (found.bpffs, found.forwarding, found.gateway_of)
    assert machine.rp_filter("eth0", nothing) is None
    assert not machine.answers_for_others("eth0", 4, nothing)


def test_forwarding(tmp_path, settings):
    """
    By IP version.
    """
    folder = settings(ipv4__ip_forward=1, ipv6__conf__all__forwarding=0)

    assert {4: True, 6: False} == machine.look(mounts=tmp_path, settings=folder).forwarding


@pytest.mark.parametrize(("every", "nic"), [(0, 0), (0, 1), (1, 0), (2, 1), (1, 2)])
def test_the_greater_reverse_path_filter_holds(settings, every, nic):
    """
    As the kernel has it.
    """
    folder = settings(ipv4__conf__all__rp_filter=every, ipv4__conf__eth0__rp_filter=nic)

    assert max(every, nic) == machine.rp_filter("eth0", folder)


@pytest.mark.parametrize(("every", "nic"), [(0, 0), (0, 1), (1, 0)])
def test_proxy_arp(settings, every, nic):
    """
    Either setting will do; for IPv6 it is by address.
    """
    folder = settings(ipv4__conf__all__proxy_arp=every, ipv4__conf__eth0__proxy_arp=nic)

    assert bool(every or nic) is machine.answers_for_others("eth0", 4, folder)
    assert not machine.answers_for_others("eth0", 6, folder)


@pytest.mark.parametrize(("file", "found"), [("libbcc.py", True), ("lattice.py", False)])
def test_the_real_bcc_is_known_by_its_library(monkeypatch, tmp_path, file, found):
    """
    Another package has that name, too.
    """
    (tmp_path / file).touch()
    spec = importlib.machinery.ModuleSpec("bcc", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(machine.importlib.util, "find_spec", lambda _: spec)

    assert (str(tmp_path) if found else "") == machine.look().bcc


def test_no_bcc(monkeypatch):
    """
    Or one that cannot be told.
    """
    monkeypatch.setattr(machine.importlib.util, "find_spec", lambda _: None)
    assert "" == machine.look().bcc

    def broken(_):
        raise ValueError

    monkeypatch.setattr(machine.importlib.util, "find_spec", broken)
    assert machine.look().bcc is None


@pytest.mark.parametrize(
    ("limit", "expected"), [(64 << 10, 64 << 10), (resource.RLIM_INFINITY, 1 << 62)]
)
def test_memory_lock(monkeypatch, limit, expected):
    """
    In bytes; without a limit it is large.
    """
    monkeypatch.setattr(machine.resource, "getrlimit", lambda _: (limit, limit))

    assert expected == machine.look().memory_lock
