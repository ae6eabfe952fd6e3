"""The cgroup: shares of quotas and limits, in trees of both versions."""

from __future__ import annotations

import asyncio

import psutil
import pytest

from lbctl.agent import trees
from lbctl.agent.cgroup import CgroupProbe
from lbctl.agent.readings import SourceError
from lbctl.agent.trees import count_cpus
from tests.unit.agent.servers import Clock

TOTAL = 1000 << 20


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """A machine of 4 CPUs and 1000 MiB."""
    memory = type("Memory", (), {"total": TOTAL, "available": 0})
    monkeypatch.setattr(psutil, "cpu_count", lambda: 4)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)


def write(folder, **files):
    """Write files; two underscores stand for a dot."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(f"{content}\n")


def version2(root, place="", seconds=0.0, **files):
    """Write a cgroup of version 2."""
    write(root, cgroup__controllers="cpu memory")
    stat = f"usage_usec {int(seconds * 1e6)}\nuser_usec 0"
    write(root / place, cpu__stat=stat, **files)


def version1(root, place="", seconds=0.0, quota=-1, **memory):
    """Write a cgroup of version 1."""
    write(root / "cpu" / place, cpu__cfs_quota_us=quota, cpu__cfs_period_us=100000)
    write(root / "cpuacct" / place, cpuacct__usage=int(seconds * 1e9))
    write(root / "memory" / place, **memory)


class Looker:
    """A probe and its clock."""

    def __init__(self, root, path, own=trees.SELF):
        self.clock = Clock()
        self.probe = CgroupProbe(path, root=root, own=own, clock=self.clock)

    def look(self, seconds=0.0):
        """Look after *seconds*; give CPU and memory."""
        self.clock.now += seconds
        report = asyncio.run(self.probe.sample())
        return report.cpu, report.memory


@pytest.mark.parametrize(
    ("quota", "expected"),
    [("50000 100000", 0.8), ("200000 100000", 0.2), ("max 100000", 0.1), ("900000 100000", 0.1)],
)
def test_version_2_tells_the_part_of_the_quota(tmp_path, quota, expected):
    """
    0.4 CPUs of the quota; without one, or with more than there are, of all 4.
    """
    version2(tmp_path, "web", 10, cpu__max=quota)
    looker = Looker(tmp_path, "web")
    first = looker.look()
    version2(tmp_path, "web", 10.4)

    assert ((None, None), (pytest.approx(expected), None)) == (first, looker.look(1))


def test_the_nearest_quota_counts(tmp_path):
    """
    A slice that uses all that it has is full, however little of it this service uses.
    """
    for second in (0, 1):
        version2(tmp_path, "", 0 + 3 * second)
        version2(tmp_path, "web.slice", second, cpu__max="100000 100000")
        version2(tmp_path, "web.slice/a.service", 0.1 * second, cpu__max="50000 100000")
        if not second:
            looker = Looker(tmp_path, "web.slice/a.service")
            looker.look()

    assert (pytest.approx(1.0), None) == looker.look(1)


def test_others_on_the_machine_do_not_count(tmp_path):
    """
    A level without a quota is only asked about this cgroup itself.
    """
    version2(tmp_path, "", 0)
    version2(tmp_path, "web", 0)
    looker = Looker(tmp_path, "web")
    looker.look()
    version2(tmp_path, "", 4)
    version2(tmp_path, "web", 0.4)

    assert (pytest.approx(0.1), None) == looker.look(1)


def test_cpus_of_a_set_are_all_there_are(tmp_path):
    """
    Of the nearest level that names them.
    """
    version2(tmp_path, "", 0, cpuset__cpus__effective="0-3")
    version2(tmp_path, "web", 0, cpuset__cpus__effective="1,3")
    looker = Looker(tmp_path, "web")
    looker.look()
    version2(tmp_path, "web", 1)

    assert (pytest.approx(0.5), None) == looker.look(1)


@pytest.mark.parametrize(
    ("text", "expected"), [("0-3,8", 5), ("2", 1), ("", None), (None, None), ("0-1,4-5\n", 4)]
)
def test_cpus_are_counted(text, expected):
    """
    As the kernel lists them.
    """
    assert expected == count_cpus(text)


def test_version_1_tells_the_part_of_the_quota(tmp_path):
    """
    0.4 CPUs: of a quota of half a CPU, then of the 4 there are.
    """
    version1(tmp_path, "web", 10, 50000)
    version1(tmp_path, "free", 10)
    web, free = Looker(tmp_path, "web"), Looker(tmp_path, "free")
    web.look()
    free.look()
    version1(tmp_path, "web", 10.4, 50000)
    version1(tmp_path, "free", 10.4)

    assert pytest.approx(0.8) == web.look(1)[0]
    assert pytest.approx(0.1) == free.look(1)[0]


@pytest.mark.parametrize(
    ("limit", "expected"), [(f"{200 << 20}", 0.25), ("max", 0.05), (f"{5000 << 20}", 0.05)]
)
def test_version_2_tells_the_part_of_the_memory(tmp_path, limit, expected):
    """
    Without pages of files that nobody used lately, of the limit or of all there is.
    """
    stat = f"anon 1\ninactive_file {50 << 20}\nactive_file 7"
    files = {"memory__stat": stat, "memory__max": limit}
    version2(tmp_path, "web", memory__current=100 << 20, **files)

    assert (None, pytest.approx(expected)) == Looker(tmp_path, "web").look()


@pytest.mark.parametrize(("limit", "expected"), [(200 << 20, 0.25), (9223372036854771712, 0.05)])
def test_version_1_tells_the_part_of_the_memory(tmp_path, limit, expected):
    """
    The same; it says "no limit" with a very large number.
    """
    version1(
        tmp_path,
        "web",
        memory__usage_in_bytes=100 << 20,
        memory__stat=f"inactive_file 1\ntotal_inactive_file {50 << 20}",
        memory__limit_in_bytes=limit,
    )

    assert (None, pytest.approx(expected)) == Looker(tmp_path, "web").look()


def test_memory_of_the_level_above_counts_too(tmp_path):
    """
    When that is nearer to its limit.
    """
    version2(tmp_path, "a", memory__current=90 << 20, memory__max=100 << 20)
    version2(tmp_path, "a/b", memory__current=10 << 20, memory__max="max")

    assert (None, pytest.approx(0.9)) == Looker(tmp_path, "a/b").look()


@pytest.mark.parametrize("path", ["web", "/web", "/web/"])
def test_a_path_is_named_from_the_root(tmp_path, path):
    """
    With or without slashes, or with the root itself.
    """
    version2(tmp_path, "web", memory__current=100 << 20)

    assert (None, pytest.approx(0.1)) == Looker(tmp_path, path).look()
    assert (None, pytest.approx(0.1)) == Looker(tmp_path, f"{tmp_path}/web").look()


def test_a_path_of_version_1_may_name_a_controller(tmp_path):
    """
    As it is found with `ls`.
    """
    version1(tmp_path, "web", memory__usage_in_bytes=100 << 20)

    assert (None, pytest.approx(0.1)) == Looker(tmp_path, f"{tmp_path}/cpu/web").look()


@pytest.mark.parametrize("version", [version1, version2])
def test_a_cgroup_that_is_not_there_is_an_error(tmp_path, version):
    """
    Never the figures of another; it tells again when it comes back.
    """
    name = "memory__current" if version is version2 else "memory__usage_in_bytes"
    version(tmp_path, "", **{name: 5})
    looker = Looker(tmp_path, "/gone")

    with pytest.raises(SourceError, match="/gone"):
        looker.look()

    version(tmp_path, "gone", **{name: 100 << 20})
    assert (None, pytest.approx(0.1)) == looker.look()


def test_auto_is_the_own_cgroup(tmp_path):
    """
    Of version 2, by the line without a name.
    """
    write(tmp_path, own="3:cpu:/else\n0::/here")
    version2(tmp_path, "here", memory__current=100 << 20)

    assert (None, pytest.approx(0.1)) == Looker(tmp_path, "auto", tmp_path / "own").look()


def test_auto_may_be_elsewhere_for_each_controller(tmp_path):
    """
    Of version 1: limits of one place, use of another.
    """
    write(tmp_path, own="4:memory:/m\n2:cpu,cpuacct:/c")
    version1(tmp_path, "c", 10, 100000)
    version1(tmp_path, "m", memory__usage_in_bytes=100 << 20)
    looker = Looker(tmp_path, "auto", tmp_path / "own")
    looker.look()
    version1(tmp_path, "c", 10.5, 100000)

    assert (pytest.approx(0.5), pytest.approx(0.1)) == looker.look(1)


@pytest.mark.parametrize("own", ["0::/docker/abc", ""])
def test_a_container_sees_itself_at_the_root(tmp_path, own):
    """
    The host's name of it is of no use inside.
    """
    write(tmp_path, own=own)
    version2(tmp_path, "", memory__current=100 << 20)

    assert (None, pytest.approx(0.1)) == Looker(tmp_path, "auto", tmp_path / "own").look()


def test_a_counter_set_back_is_no_use(tmp_path):
    """
    A cgroup of the same name that is new begins anew.
    """
    version2(tmp_path, "web", 10)
    looker = Looker(tmp_path, "web")
    looker.look()
    version2(tmp_path, "web", 1)

    assert (None, None) == looker.look(1)
