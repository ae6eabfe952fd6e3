"""
`import`: what comes on standard output, what on standard error, and the exit status.
"""

from __future__ import annotations

import json

import pytest
import yaml

from lbctl.cli.importing.command import NICS

RULES = "-A -t 203.0.113.10:80 -s rr\n-a -t 203.0.113.10:80 -r 10.0.1.11:8080 -m -w 1\n"
LOST = "-C\n"
SITE = "listen web\n bind *:80\n server a 10.0.1.11:8080\n"


@pytest.fixture(autouse=True)
def files(tmp_path, monkeypatch):
    """
    A folder with a text of each kind.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "ipvs.rules").write_text(RULES)
    (tmp_path / "haproxy.cfg").write_text(SITE)
    return tmp_path


@pytest.mark.parametrize(
    ("words", "stdin"),
    [
        (["ipvsadm", "ipvs.rules"], None),
        (["ipvsadm"], RULES),
        (["ipvsadm", "-"], RULES),
        (["haproxy", "haproxy.cfg", "--address", "203.0.113.10"], None),
        (["haproxy", "--address", "203.0.113.10", "--address", "[2001:db8::10]"], SITE),
    ],
)
@pytest.mark.parametrize("form", ["yaml", "json"])
def test_what_comes_is_valid(run, fake, words, stdin, form):
    """
    `validate` takes it as it is; no daemon is asked.
    """
    result = run("import", *words, "-o", form, "--nic", "eth1", stdin=stdin)
    checked = run("validate", "-f", "-", stdin=result.stdout)

    assert (0, 0) == (result.exit_code, checked.exit_code)
    assert "standard input: valid, pools: 1, NICs: 1\n" == checked.stdout
    assert [] == fake.mock_calls


def test_the_pool(run):
    """
    In the form that `export` has.
    """
    said = json.loads(run("import", "ipvsadm", "ipvs.rules", "-o", "json").stdout)
    (pool,) = said["pools"]

    assert [] == said["nics"]
    assert {"address": "10.0.1.11:8080", "weight": 1, "state": "active"} == pool["backends"][0]
    assert ["203.0.113.10:80/tcp"] == pool["vips"]


def test_remarks(run):
    """
    They are on standard error, with the sum as the last line; the exit status is 0.
    """
    result = run("import", "ipvsadm", stdin=RULES + LOST)

    assert 0 == result.exit_code
    assert [
        "line 3: not taken: -C: only -A and -a add something; give the output of `ipvsadm -Sn`",
        "note: ipvsadm knows no health checks, so the pools have none; add `health` to them",
        f"note: {NICS}",
        "taken: pools: 1, VIPs: 1, back-ends: 1; lines not taken: 1, taken with a difference: 0",
    ] == result.stderr.splitlines()


@pytest.mark.parametrize("lost", [False, True])
def test_strict(run, lost):
    """
    If anything is not taken the exit status is 1, and there is nothing that could be applied.
    """
    result = run("import", "ipvsadm", "--strict", "-w", "new.yaml", stdin=RULES + LOST * lost)

    assert (int(lost), "") == (result.exit_code, result.stdout)
    end = "Error: standard input: lines not taken: 1; without --strict the rest is printed\n"
    assert lost == result.stderr.endswith(end)


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_write(run, files, form):
    """
    The file has what standard output would have; one that is there stays unless --force is said.
    """
    printed = run("import", "ipvsadm", "ipvs.rules", "-o", form)
    words = ("import", "ipvsadm", "ipvs.rules", "-o", form, "-w", "new.yaml")
    written = run(*words)

    assert (0, "") == (written.exit_code, written.stdout)
    assert printed.stdout == (files / "new.yaml").read_text()
    (files / "new.yaml").write_text("mine")
    refused = run(*words)
    assert 4 == refused.exit_code
    end = "Error: new.yaml: exists already; choose another name, or --force\n"
    assert refused.stderr.endswith(end)
    assert "mine" == (files / "new.yaml").read_text()
    assert 0 == run(*words, "--force").exit_code
    assert 1 == len(yaml.safe_load((files / "new.yaml").read_text())["pools"])


def test_a_place_that_cannot_be_written(run):
    """
    One line says so.
    """
    result = run("import", "ipvsadm", "ipvs.rules", "-w", "no/such/folder.yaml")

    assert 1 == result.exit_code
    assert "Error: no/such/folder.yaml: No such file or directory; choose another FILE" in (
        result.stderr
    )


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        ("ipvsadm haproxy.cfg", 1, "haproxy.cfg: there is no service in it; give the output of"),
        ("haproxy ipvs.rules", 1, "ipvs.rules: there is no frontend, backend or listen in it"),
        ("haproxy nowhere.cfg", 2, "No such file or directory"),
        ("haproxy haproxy.cfg --address 127.0.0.1", 2, "not a unicast address"),
        ("haproxy haproxy.cfg --address fe80::1%eth0", 2, "link-local"),
        ("haproxy haproxy.cfg --address shop", 2, "'shop' is not an IP address"),
        ("ipvsadm ipvs.rules --nic much-too-long-a-name", 2, "name: "),
    ],
)
def test_what_cannot_be(run, words, status, said):
    """
    One line, nothing on standard output.
    """
    result = run("import", *words.split())

    assert (status, "") == (result.exit_code, result.stdout)
    assert result.stderr.splitlines()[-1].startswith("Error: ")
    assert said in result.stderr


def test_bytes_that_are_no_text(run, files):
    """
    In a comment they do no harm.
    """
    (files / "latin.rules").write_bytes(b"# f\xfcr uns\n" + RULES.encode())

    assert 0 == run("import", "ipvsadm", "latin.rules").exit_code
