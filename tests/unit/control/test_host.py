"""What lbctld needs of the machine, and what it says when it is not there."""

from __future__ import annotations

import os
import subprocess
import sys
from ipaddress import ip_address
from pathlib import Path

import pytest

from lbctl.control import host
from lbctl.control.links import AddressWatch, KernelLinks
from lbctl.errors import Conflict, LbctlError, NotFound, NotPermitted

MOUNTS = """\
22 1 0:21 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
23 22 0:22 / /sys rw,nosuid shared:2 - sysfs sysfs rw
{bpf}40 22 0:30 / /mnt/with\\040space rw - bpf bpf rw
"""
BPF = "24 23 0:23 / /sys/fs/bpf rw,nosuid shared:3 - bpf bpf rw,mode=700\n"


@pytest.mark.parametrize(
    ("held", "missing"),
    [
        ("000001ffffffffff", None),
        ("000000c000001000", None),  # exactly the three
        ("0000000000201000", None),  # CAP_SYS_ADMIN stands for CAP_BPF and CAP_PERFMON
        ("0000000000000000", "CAP_NET_ADMIN, CAP_PERFMON, CAP_BPF"),
        ("0000008000001000", "CAP_PERFMON"),
        ("0000000000200000", "CAP_NET_ADMIN"),
    ],
)
def test_missing_capabilities_are_named(tmp_path, held, missing):
    """Exit status 6, and how to get them."""
    status = tmp_path / "status"
    status.write_text(f"Name:\tlbctld\nCapEff:\t{held}\n")

    if missing is None:
        host.require_privileges(status)
        return
    with pytest.raises(NotPermitted, match=f"lbctld lacks {missing}; run it as root") as caught:
        host.require_privileges(status)
    assert caught.value.exit_code == 6


@pytest.mark.parametrize(
    ("pins", "bpf", "text"),
    [
        ("/sys/fs/bpf/lbctl/default", BPF, None),
        ("/mnt/with space/lbctl", "", None),
        ("/var/lib/lbctl/pins", BPF, "/var/lib/lbctl/pins: not on a BPF file system"),
    ],
)
def test_pins_must_be_on_a_bpf_file_system(tmp_path, pins, bpf, text):
    """Anywhere else nothing can be pinned."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS.format(bpf=bpf))

    if text is None:
        host.require_bpffs(Path(pins), mounts)
        return
    with pytest.raises(LbctlError, match=text):
        host.require_bpffs(Path(pins), mounts)


def test_a_missing_bpf_file_system_is_mounted_or_the_command_is_told(tmp_path, monkeypatch):
    """Where the usual place is concerned."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS.format(bpf=""))
    asked = []

    def mount(*what: object) -> int:
        asked.append(what[:3])
        return 0 if len(asked) == 1 else -1

    monkeypatch.setattr(host._libc, "mount", mount, raising=False)
    host.require_bpffs(Path("/sys/fs/bpf/lbctl/default"), mounts)
    assert asked == [(b"bpf", b"/sys/fs/bpf", b"bpf")]

    with pytest.raises(LbctlError, match="run `mount -t bpf bpf /sys/fs/bpf`"):
        host.require_bpffs(Path("/sys/fs/bpf/lbctl/default"), mounts)


def test_an_unknown_namespace_is_not_found():
    """By name or by path."""
    with pytest.raises(NotFound, match="there is no network namespace 'nope-nope'"):
        host.enter_netns("nope-nope")
    with pytest.raises(NotFound, match="/nope/nope"):
        host.enter_netns("/nope/nope")


def test_a_file_that_is_no_namespace_is_an_error(tmp_path):
    """The kernel's own words."""
    file = tmp_path / "file"
    file.write_text("")

    with pytest.raises(LbctlError, match="Invalid argument"):
        host.enter_netns(str(file))


def test_only_one_of_a_name_runs(tmp_path):
    """The second is told who the first is; the lock ends with its holder."""
    with host.only_one(tmp_path / "state", "default"):
        with pytest.raises(Conflict) as caught, host.only_one(tmp_path / "state", "default"):
            pass
        assert str(caught.value) == (
            f"lbctld 'default' is running already (pid {os.getpid()}); "
            f"stop it, or choose another --name"
        )
    with host.only_one(tmp_path / "state", "default"):
        pass


def test_a_killed_daemon_leaves_no_lock(tmp_path):
    """Its file stays, its lock does not."""
    script = (
        "import os, pathlib, sys\n"
        "from lbctl.control import host\n"
        "with host.only_one(pathlib.Path(sys.argv[1]), 'x'):\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    died = subprocess.run(command, cwd=Path(__file__).parents[3], check=False)

    assert died.returncode == -9
    assert (tmp_path / "lock").read_text().strip().isdigit()
    with host.only_one(tmp_path, "x"):
        pass


def test_fresh_removes_the_pins_of_an_instance_and_nothing_else(tmp_path):
    """A --pin-dir that somebody else uses is left alone."""
    host.remove_pins(tmp_path / "never")
    (tmp_path / "default" / "tables").mkdir(parents=True)
    (tmp_path / "default" / "tables" / "control").write_text("")
    host.remove_pins(tmp_path / "default")
    assert not (tmp_path / "default").exists()

    (tmp_path / "tables").mkdir()
    (tmp_path / "somebody").write_text("")
    with pytest.raises(LbctlError, match="somebody: not of lbctl, so nothing was removed"):
        host.remove_pins(tmp_path)
    assert (tmp_path / "tables").is_dir()


def test_the_kernel_tells_of_nics_and_addresses():
    """Loopback is everywhere."""
    links = KernelLinks()

    assert links.index("lo") == 1
    assert links.index("nope0") is None
    assert links.index("bad\0name") is None
    assert links.is_up("nope0") is False
    assert links.is_up("lo") is True
    hosts = [ip_address(text) for text in ("127.0.0.1", "203.0.113.10", "2001:db8::1")]
    assert links.own(hosts) == {ip_address("127.0.0.1")}


def test_an_address_watch_that_heard_nothing_is_silent():
    """Clearing it does not wait."""
    watch = AddressWatch()
    watch.clear()
    watch.close()


@pytest.mark.parametrize("release", ["5.10.0-32-amd64", "4.19.0", "5.11.99"])
def test_a_kernel_that_is_too_old_is_refused(release):
    """
    In one line: what is needed, what is there, and what to do.
    """
    with pytest.raises(LbctlError) as refusal:
        host.require_kernel(release)

    wanted = f"lbctld needs Linux 5.12, and this is {release}; upgrade the kernel"
    assert wanted == str(refusal.value)


@pytest.mark.parametrize("release", [None, "5.12.0", "6.1.0-50-amd64", "7.3.4+deb13-amd64", "odd"])
def test_a_kernel_that_is_recent_enough_is_not_refused(release):
    """
    Neither is this machine's, nor one whose number says nothing.
    """
    host.require_kernel(release)
