"""
The file: read, checked and sent as it is; what is wrong is named with its line.
"""

from __future__ import annotations

import json

import pytest
import yaml

from lbctl.errors import LbctlError, UsageError
from lbctl.model import Configuration
from tests.unit.cli.answers import CONFIGURATION

GOOD = """\
version: 1
nics:
  - name: eth1
pools:
  - name: web
    vips: ["203.0.113.10:80/tcp"]
    backends:
      - address: 10.0.1.11:8080
      - address: 10.0.1.12:8080
        weight: 3
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """
    Write lb.yaml into the current folder.
    """
    monkeypatch.chdir(tmp_path)

    def write_file(text):
        raw = text if isinstance(text, bytes) else text.encode()
        (tmp_path / "lb.yaml").write_bytes(raw)

    return write_file


@pytest.mark.parametrize("option", ["", "--dry-run", "--force"])
def test_apply(run, fake, write, option):
    """
    The whole configuration, with what the file leaves to its usual value.
    """
    write(GOOD)
    result = run("apply", "-f", "lb.yaml", *option.split())

    sent = Configuration.model_validate(yaml.safe_load(GOOD)).model_dump(mode="json")
    fake.apply.assert_called_once_with(
        sent, dry_run=option == "--dry-run", force=option == "--force"
    )
    done = "" if option == "--dry-run" else "generation 8 is active\n"
    assert f"+ pool web\n~ settings: timeout udp 60 -> 30\n{done}" == result.stdout


def test_apply_that_changes_nothing(run, fake, write):
    """
    Said in so many words.
    """
    write(GOOD)
    fake.apply.return_value = {"generation": 7, "changes": []}

    assert "no changes; generation 7 is active\n" == run("apply", "-f", "lb.yaml").stdout
    assert "no changes\n" == run("apply", "-f", "lb.yaml", "--dry-run").stdout


def test_apply_as_json(run, write):
    """
    For scripts: the generation and the changes.
    """
    write(GOOD)
    said = json.loads(run("apply", "-f", "lb.yaml", "-o", "json").stdout)

    assert {"generation": 8, "changes": ["+ pool web", "~ settings: timeout udp 60 -> 30"]} == said


def test_diff(run, fake, write):
    """
    The changes, and nothing is changed.
    """
    write(GOOD)

    assert "+ pool web\n~ settings: timeout udp 60 -> 30\n" == run("diff", "-f", "lb.yaml").stdout
    assert ["diff"] == [name for name, *_ in fake.mock_calls]


def test_validate_needs_no_daemon(run, fake, write):
    """
    It answers by itself.
    """
    write(GOOD)

    assert "lb.yaml: valid, pools: 1, NICs: 1\n" == run("validate", "-f", "lb.yaml").stdout
    assert [] == fake.mock_calls


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_export_and_apply_are_inverse(run, fake, form):
    """
    `export | apply` sends back what came; YAML does not mistake an IPv6 address for a list.
    """
    exported = run("export", "-o", form).stdout
    result = run("apply", "-f", "-", stdin=exported)

    assert 0 == result.exit_code
    sent = Configuration.model_validate(CONFIGURATION).model_dump(mode="json")
    fake.apply.assert_called_once_with(sent, dry_run=False, force=False)


@pytest.mark.parametrize("name", ["1", "on", "null", "1e3", "2025-01-02", "0x10", "1_0"])
def test_export_keeps_odd_names(run, fake, name):
    """
    Names that YAML would read as something else are quoted.
    """
    fake.configuration.return_value["pools"][0]["name"] = name
    exported = run("export").stdout

    assert 0 == run("apply", "-f", "-", stdin=exported).exit_code
    assert name == fake.apply.call_args.args[0]["pools"][0]["name"]


def test_schema(run):
    """
    JSON Schema, for editors and for checks elsewhere.
    """
    schema = json.loads(run("validate", "--schema").stdout)

    parts = {"version", "nics", "pools", "agents", "pseudo", "apps", "processors", "settings"}
    assert parts == set(schema["properties"])
    assert "string" == schema["$defs"]["Backend"]["properties"]["address"]["type"]


WRONG = {
    "missing": ("", "is empty; `lbctl export` shows what a configuration looks like"),
    "comments only": ("# nothing\n", "is empty"),
    "syntax": ("version: 1\npools: a: b\n", "line 2, column 9: mapping values are not allowed"),
    "tab": ("pools:\n\t- name: web\n", "line 2, column 1: found character that cannot start"),
    "address without quotes": (
        GOOD.replace('"203.0.113.10:80/tcp"', "[2001:db8::1]:80/tcp"),
        "line 6: a key must be a word; if that is an IPv6 address in brackets, put it in quotes",
    ),
    "address in a list without quotes": (
        "pools:\n  - name: web\n    vips:\n      - [2001:db8::1]:80/tcp\n",
        "line 4, column 22: did not find expected '-' indicator; if that is an IPv6 address",
    ),
    "two documents": ("version: 1\n---\nversion: 1\n", "line 2, column 1: but found another"),
    "no text": (b"\xff\xfe\x00", "not YAML: "),
    "not UTF-8": (b"pools: \xff\n", "not YAML: unacceptable character"),
    "tag": ("pools: !!python/object:os.system x\n", "line 1, column 8: could not determine"),
    "twice": (f"{GOOD}pools: []\n", "line 11: 'pools' stands there twice, first on line 4"),
    "twice inside": (
        GOOD.replace("weight: 3", "address: 10.0.1.13:80"),
        "line 10: 'address' stands there twice, first on line 9",
    ),
    "alias of itself": ("pools: &a [*a]\n", "line 1: pools[0]: "),
    "deep": ("pools:\n  - " + "- " * 1_000_000, "nested more than 50 deep"),
    "no mapping": ("- name: web\n", "line 1: must be a mapping"),
    "misspelt": (
        GOOD.replace("weight", "heft"),
        "line 10: pools[0].backends[1].heft: there is no such key; check its spelling",
    ),
    "address": (
        GOOD.replace("10.0.1.12:8080", "10.0.1.12"),
        "line 9: pools[0].backends[1].address: '10.0.1.12' is not ADDRESS:PORT",
    ),
    "choice": (
        f"{GOOD}    forward: ipvs\n",
        "line 11: pools[0].forward: must be 'nat' or 'dsr', not 'ipvs'",
    ),
    "missing key": ("pools:\n  - vips: []\n", "line 2: pools[0].name: is missing"),
    "number for a name": ("nics:\n  - name: 7\n", "line 2: nics[0].name: must be a text, not 7"),
    "no list": ("pools:\n  name: web\n", "line 1: pools: must be a list, not {'name': 'web'}"),
    "two things": (
        GOOD.replace("weight: 3", "weight: 70000").replace("eth1", "far-too-long-a-name"),
        "line 3: nics[0].name: ",
    ),
    "whole pool": (
        GOOD.replace("10.0.1.12", "10.0.1.11"),
        "line 5: pools[0]: pool 'web': back-end 10.0.1.11:8080 is named twice",
    ),
    "whole file": (f"{GOOD}  - name: web\n", "line 1: pool 'web' is named twice"),
}


@pytest.mark.parametrize(
    ("command", "case"),
    [*(("validate", case) for case in WRONG), ("apply", "address"), ("diff", "address")],
)
def test_wrong_files(run, fake, write, command, case):
    """
    Exit status 2, one line with file, line and path; the daemon is not asked.
    """
    text, said = WRONG[case]
    write(text)
    result = run(command, "-f", "lb.yaml")

    assert (2, "") == (result.exit_code, result.stdout)
    assert result.stderr.startswith(f"Error: lb.yaml: {said}")
    assert 1 == result.stderr.count("\n")
    assert [] == fake.mock_calls


def test_number_of_errors(run, write):
    """
    The first is told, the others are counted.
    """
    write(WRONG["two things"][0])

    assert run("validate", "-f", "lb.yaml").stderr.endswith(" (and 1 more)\n")


def test_standard_input_has_a_name(run):
    """
    Not <stdin>, nor nothing.
    """
    result = run("validate", "-f", "-", stdin="pools: 7\n")

    assert "Error: standard input: line 1: pools: must be a list, not 7\n" == result.stderr


@pytest.mark.parametrize("command", ["apply", "diff"])
def test_lines_in_errors_of_the_daemon(run, fake, write, command):
    """
    Where it names a place in the configuration, the line is added; the class stays.
    """
    write(GOOD)
    getattr(fake, command).side_effect = UsageError("pools[0].backends[1].weight: too much")
    result = run(command, "-f", "lb.yaml")

    assert 2 == result.exit_code
    assert "Error: lb.yaml: line 10: pools[0].backends[1].weight: too much\n" == result.stderr


def test_other_errors_of_the_daemon(run, fake, write):
    """
    They stay as they are.
    """
    write(GOOD)
    fake.apply.side_effect = LbctlError("10.0.1.11: there is no route to it; see `ip route`")
    result = run("apply", "-f", "lb.yaml")

    assert 1 == result.exit_code
    assert "Error: 10.0.1.11: there is no route to it; see `ip route`\n" == result.stderr
