"""
What cannot be done: one line on stderr, the right exit status, and nothing is changed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

import lbctl as package
from tests.netns.live import ask, connect, one_line, switch, vip4, vip6

WEB, OTHER = 10, 11
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
BACKEND = "10.0.1.11:8080"


@pytest.fixture(scope="module")
def live():
    """One pool, one server of which is drained."""
    with switch(clients=1) as live:
        live.pool("web", f"{vip4(WEB)}:80/tcp", live.backends())
        live.pool("bare", f"{vip6(WEB)}:80/tcp", [])
        yield live


WRONG = [
    # exit status, what the line names, the words
    (2, "10.0.1.300", "backend add web 10.0.1.300:80"),
    (2, "99999", "backend add web 10.0.1.13:99999"),
    (2, "70000", f"vip add web {vip4(OTHER)}:70000/tcp"),
    (2, "sctp", f"vip add web {vip4(OTHER)}:80/sctp"),
    (2, "brackets", "backend add bare 2001:db8:a::11:80"),
    (2, "family", "backend add web [2001:db8:a::11]:8080"),
    (2, "70000", f"backend set web {BACKEND} --weight 70000"),
    (2, "teleport", f"pool add new --vip {vip4(OTHER)}:80/tcp --forward teleport"),
    (2, "100", "pool set web --table-size 0"),
    (2, "attahc", "attahc ext0"),
    (2, "--all", "detach"),
    (2, "/no/such/file", "apply -f /no/such/file"),
    (3, "nosuch", "pool show nosuch"),
    (3, "nosuch", f"backend add nosuch {BACKEND}"),
    (3, "nosuch", f"vip add nosuch {vip4(OTHER)}:80/tcp"),
    (3, "nosuch", "pool remove nosuch"),
    (3, "nosuch", "connection list --pool nosuch"),
    (3, "10.0.1.99", "backend remove web 10.0.1.99:8080"),
    (3, "10.0.1.99", "backend drain web 10.0.1.99:8080 --wait"),
    (3, vip4(OTHER), f"vip remove web {vip4(OTHER)}:80/tcp"),
    (3, "nosuch0", "attach ext0 nosuch0"),
    (3, "nosuch0", "detach ext0 nosuch0"),
    (3, "4711", "rollback 4711"),
    (4, "web", f"pool add web --vip {vip4(OTHER)}:80/tcp"),
    (4, vip4(WEB), f"pool add new --vip {vip4(WEB)}:80/tcp"),
    (4, vip4(WEB), f"vip add web {vip4(WEB)}:80/tcp"),
    (4, BACKEND, f"backend add web {BACKEND}"),
    (1, "192.0.2.9", "backend add web 192.0.2.9:80"),
    (1, "10.0.1.99", "backend add web 10.0.1.99:80"),
    (1, "10.0.2.1", "backend add web 10.0.2.1:80"),
    (1, "2001:db8:a::99", "backend add bare [2001:db8:a::99]:80"),
]


@pytest.mark.parametrize(("status", "named", "words"), WRONG, ids=[row[2] for row in WRONG])
def test_a_wrong_command_changes_nothing(live, status, named, words):
    """
    It says which thing is wrong.
    """
    line = live.refused(status, *words.split())

    if words != "pool set web --table-size 0":
        assert named in line


def test_the_last_nic_of_a_pool_that_is_missing_detaches_none(live):
    """
    All of them or, when one fails, none: traffic flows on.
    """
    with closing(live.inside("client0", connect, vip4(WEB), 80)) as plug:
        live.refused(3, "detach", *live.bed.plan.nics, "nosuch0")
        assert ask(plug).startswith(b"server")


def test_nobody_answers(live, tmp_path):
    """
    It says what would start the daemon.
    """
    env = {"LBCTL_SOCKET": str(tmp_path / "no.sock")}
    for words in ("status", "pool list", "attach ext0"):
        assert "lbctld" in one_line(live.typed(*words.split(), env=env), 5)


def test_the_daemon_is_gone(live):
    """
    Its socket lies about after it was killed.
    """
    live.kill()
    try:
        line = one_line(live.typed("status"), 5)
    finally:
        live.start()

    assert str(live.socket) in line


@pytest.fixture
def own(tmp_path_factory):
    """A copy of lbctl, and a folder for others, that everybody may read."""
    folder = tmp_path_factory.mktemp("own")
    for path in (folder, folder.parent, folder.parent.parent):
        path.chmod(0o755)
    source = Path(package.__file__).parent
    shutil.copytree(source, folder / "lbctl", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(source.parent / "bpf_src", folder / "bpf_src")
    return folder


def as_nobody(folder, *command, **places):
    """Run Python of that folder without any privilege."""
    return subprocess.run(
        [*NOBODY, sys.executable, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1", **places},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("words", ["status", "detach --all", "pool remove web"])
def test_a_user_without_privilege_may_not_ask(live, own, words):
    """
    The file mode of the socket decides.
    """
    socket = own / "lbctld.sock"
    live.bed.folder.chmod(0o711)
    before = live.export()

    done = as_nobody(own, "-m", "lbctl", *words.split(), LBCTL_SOCKET=str(live.socket))

    assert "sudo" in one_line(done, 6)
    assert before == live.export()
    assert not socket.exists()


def test_a_user_without_privilege_may_not_be_the_daemon(live, own):
    """
    It says what is missing, and makes nothing.
    """
    state = own / "state"
    done = as_nobody(
        own, "-m", "lbctl.testbed.lbctld", "--name", f"{live.name}x", "--state-dir", str(state)
    )

    assert "root" in one_line(done, 6)
    assert not state.exists()


@pytest.mark.parametrize(
    ("status", "named", "words"),
    [
        (3, "nosuch-ns", "--netns nosuch-ns"),
        (2, "0", "--connections 0"),
        (2, "--name", "--name a/b"),
        (1, "/proc/nowhere", "--state-dir /proc/nowhere"),
        (1, "/tmp/pins", "--pin-dir /tmp/pins"),
    ],
)
def test_a_daemon_that_cannot_start(live, tmp_path, status, named, words):
    """
    It ends at once, and says why.
    """
    done = subprocess.run(
        [
            *(sys.executable, "-m", "lbctl.testbed.lbctld", "--name", f"{live.name}y"),
            *("--state-dir", str(tmp_path), "--socket", str(tmp_path / "y.sock"), *words.split()),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (status, "") == (done.returncode, done.stdout)
    assert named in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
