"""The command line and its file: what may be said, how, and what a mistake is answered with."""

from __future__ import annotations

import json

import click
import pytest
from click.testing import CliRunner

from lbctl.agent import daemon
from lbctl.agent.addresses import Address, server_name
from lbctl.agent.cli import cli
from lbctl.agent.fetch import Url
from lbctl.agent.prometheus import Metric
from lbctl.agent.settings import Settings
from lbctl.agent.wire import LoadReport, Wish, decode_report, read_key
from lbctl.errors import UsageError

TOML = """\
listen = ["192.0.2.11:8407", "[2001:db8::1]:8407"]
check_listen = ":5555"
agent_check = false
key_file = "/etc/lbctl/agent.key"
name = "192.0.2.11:80"
push = ["switch.example:8408"]
interval = 2
ports = [80, 443]
cgroup = "auto"
state = "maint"
prometheus = "http://127.0.0.1:9100/metrics"
requests_metric = 'requests_total{code="200"}'
json_max_age = 2.5
"""


@pytest.fixture
def run(monkeypatch):
    """Run a command line; give the result, with the settings that an agent would run with."""
    ran = []

    async def note(settings, announce):
        announce("ready")
        ran.append(settings)

    monkeypatch.setattr(daemon, "run", note)

    def command(*words):
        ran.clear()
        result = CliRunner().invoke(cli, [str(word) for word in words], prog_name="lbctl-agent")
        result.settings = ran[0] if ran else None
        return result

    return command


@pytest.fixture
def config(tmp_path):
    """Write a configuration file."""

    def write(text):
        path = tmp_path / "agent.toml"
        path.write_text(text)
        return path

    return write


def commands(command=cli, path=("lbctl-agent",)):
    """List all commands."""
    yield path, command
    for name, sub in getattr(command, "commands", {}).items():
        yield from commands(sub, (*path, name))


@pytest.mark.parametrize("path", [path for path, _ in commands()], ids=" ".join)
def test_every_help_ends_with_an_example(run, path):
    """
    Something to type.
    """
    text = run(*path[1:], "--help").output.rstrip().splitlines()

    assert "  Example:" in text
    assert text[-1].startswith("    $ lbctl-agent")


@pytest.mark.parametrize("words", [(), ("run",)])
def test_run_is_what_goes_without_saying(run, words):
    """
    Nothing at all is `run`; it answers on all addresses.
    """
    result = run(*words)

    assert (0, "ready\n") == (result.exit_code, result.output)
    assert Settings(listen=(Address("", 8407),)) == result.settings


def test_options_alone_are_run(run):
    """
    The verb may be left out.
    """
    assert (80, 443) == run("--port", 80, "--port", 443).settings.ports


def test_the_version_is_told(run):
    """
    And no agent is run.
    """
    result = run("--version")

    assert "lbctl-agent, version" in result.output
    assert result.settings is None


def test_a_file_says_the_same_as_options(run, config):
    """
    Each key is an option; one value may stand for a list of one.
    """
    settings = run("--config", config(TOML)).settings

    assert (
        Settings(
            listen=(Address("192.0.2.11", 8407), Address("2001:db8::1", 8407)),
            check_listen=(Address("", 5555),),
            agent_check=False,
            key_file=settings.key_file,
            name="192.0.2.11:80",
            push=(Address("switch.example", 8408),),
            interval=2.0,
            ports=(80, 443),
            cgroup="auto",
            state=Wish.MAINT,
            prometheus=Url.parse("http://127.0.0.1:9100/metrics"),
            requests_metric=Metric.parse('requests_total{code="200"}'),
            json_max_age=2.5,
        )
        == settings
    )
    assert "/etc/lbctl/agent.key" == str(settings.key_file)


def test_the_command_line_comes_first(run, config):
    """
    Wherever --config stands.
    """
    path = config(TOML)
    before = run("--interval", 5, "--agent-check", "--config", path).settings
    after = run("run", "--config", path, "--interval", 5, "--agent-check").settings

    assert before == after
    assert (5.0, True, (80, 443)) == (after.interval, after.agent_check, after.ports)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("intervals = 1", ["intervals", "did you mean interval?"]),
        ("zzz = 1", ["zzz", "lbctl-agent run --help"]),
        ("config = 'x'", ["config"]),
        ("interval = 'often'", ["interval", "often"]),
        ("interval = true", ["interval", "text or a number"]),
        ("interval = 0.01", ["interval", "0.1"]),
        ("interval = [1]", ["interval", "text or a number"]),
        ("metrics = 'yes'", ["metrics", "true or false"]),
        ("metrics = 1", ["metrics", "true or false"]),
        ("ports = [80, 70000]", ["ports", "70000"]),
        ("ports = [[80]]", ["ports"]),
        ("listen = ['nowhere']", ["listen", "nowhere", "10.0.1.11:8407"]),
        ("state = 'sideways'", ["state", "sideways", "drain"]),
        ("name = 'web1:80'", ["name", "10.0.1.11:8407"]),
        ("prometheus = 'here'", ["prometheus", "http://127.0.0.1:9100/metrics"]),
        ("requests_metric = 'a b'", ["requests_metric", "a b"]),
        ("[push]\nto = 1", ["push"]),
        ("interval = ", ["a line is like"]),
        ("interval = 2020-01-01", ["interval"]),
    ],
)
def test_a_mistake_in_the_file_is_named(run, config, text, words):
    """
    In one line: the file, the key and how it is right.
    """
    path = config(text)
    result = run("--config", path)

    assert (2, None) == (result.exit_code, result.settings)
    assert result.output.startswith(f"Error: {path}: ")
    assert [result.output.rstrip("\n")] == result.output.splitlines()
    assert [] == [word for word in words if word not in result.output]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--push", "192.0.2.1:8408"], "name and key_file"),
        (["--push", "192.0.2.1:8408", "--name", "192.0.2.11:80"], "name and key_file"),
        (["--push", ":8408", "--name", "192.0.2.11:80", "--key-file", "k"], "HOST:PORT"),
        (["--clients-metric", "busy"], "prometheus"),
        (["--prometheus", "http://127.0.0.1/"], "requests_metric"),
        ([word for port in range(1, 300) for word in ("--port", port)], "256"),
        (["--interval", "x"], "--interval"),
        (["--lisen", ":1"], "--listen"),
        (["stat"], "No such command"),
        (["--config", "/nonexistent/agent.toml"], "--config"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(run, words, expected):
    """
    With exit status 2 and what is missing.
    """
    result = run(*words)

    assert (2, None) == (result.exit_code, result.settings)
    assert 1 == len(result.output.splitlines())
    assert expected in result.output


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (":8407", ("", 8407)),
        ("[::]:0", ("::", 0)),
        ("host.example:1", ("host.example", 1)),
        ("192.0.2.1:65535", ("192.0.2.1", 65535)),
    ],
)
def test_addresses_are_read_and_written(text, expected):
    """
    The way they are typed.
    """
    address = Address.parse(text)

    assert (expected, text) == (address, str(address))


@pytest.mark.parametrize(
    "text",
    ["", "8407", "a", "::1:80", "[a]:1", "[:::]:1", "a:65536", "a b:1", "a:", "\uff11:\uff11"],
)
def test_what_is_no_address_is_refused(text):
    """
    The error shows how one looks.
    """
    with pytest.raises(UsageError):
        Address.parse(text)


def test_a_name_is_written_as_the_switch_writes_it():
    """
    IPv6 has more than one spelling.
    """
    assert "[2001:db8::1]:80" == server_name("[2001:DB8:0::1]:80")
    for text in ("web1:80", ":80", "192.0.2.1:0"):
        with pytest.raises(UsageError):
            server_name(text)


def test_a_report_is_printed_for_people_and_programs(run, monkeypatch):
    """
    As a table, with dashes for what is not told, or as JSON that the wire knows.
    """
    report = LoadReport(cpu=0.125, clients=3, connections={80: 3}, wish=Wish.DRAIN, reason="cold")

    async def fake(settings):
        assert (80,) == settings.ports
        return report

    monkeypatch.setattr(daemon, "report_once", fake)
    lines = dict(
        line.split(maxsplit=1) if not line.startswith("port") else ("port", line)
        for line in run("report", "--port", 80).output.splitlines()
    )

    assert report == decode_report(json.loads(run("report", "--port", 80, "-o", "json").output))
    assert ("12.5%", "-", "3", "drain cold") == (
        lines["cpu"],
        lines["memory"],
        lines["clients"],
        lines["state"],
    )
    assert "3 connections" in lines["port"]


def test_a_state_is_written_and_shown(run, tmp_path):
    """
    Under the path that options or the file say.
    """
    path = tmp_path / "state"
    path.with_suffix(".toml").write_text(f"state_file = '{path}'\nports = [80]\n")
    where = ("--config", path.with_suffix(".toml"))
    outputs = [
        run("state", *where).output,
        run("state", "drain", "--reason", "new kernel", *where).output,
        run("state", "--state-file", path).output,
        run("state", "up", *where).output,
    ]

    assert [
        "not set: the agent's own --state is told\n",
        "this server asks for: drain new kernel\n",
        "drain new kernel\n",
        "this server asks for: up\n",
    ] == outputs
    assert "up\n" == path.read_text()


@pytest.mark.parametrize(
    ("words", "status"),
    [(["sideways"], 2), (["drain", "--reason", "a\nb"], 2), (["drain", "--state-file", "/x/y"], 2)],
)
def test_a_state_that_is_none_is_refused(run, tmp_path, words, status):
    """
    And nothing is written.
    """
    result = run("state", "--state-file", tmp_path / "state", *words)

    assert (status, 1) == (result.exit_code, len(result.output.splitlines()))
    assert [] == list(tmp_path.iterdir())


def test_a_key_is_made_once(run, tmp_path):
    """
    Nobody else can read it, it can be used, and it is never overwritten.
    """
    path = tmp_path / "key"
    first = run("key", "--output", path)
    key = read_key(path)
    second = run("key", "--output", path)

    assert (0, 4) == (first.exit_code, second.exit_code)
    assert 0o600 == path.stat().st_mode & 0o777
    assert (64, key) == (len(key), read_key(path))
    assert "exists already" in second.output


def test_a_key_that_cannot_be_written_is_an_error(run, tmp_path):
    """
    In one line.
    """
    result = run("key", "--output", tmp_path / "none" / "key")

    assert (6, 1) == (result.exit_code, len(result.output.splitlines()))


def test_a_bug_is_one_line_too(run, monkeypatch):
    """
    It asks to be reported, and says how to see where it is.
    """

    async def broken(*_):
        raise ZeroDivisionError("x")

    monkeypatch.setattr(daemon, "run", broken)
    result = run()

    assert (1, 1) == (result.exit_code, len(result.output.splitlines()))
    assert "ZeroDivisionError: x: this is a bug" in result.output
    assert "--log-level debug" in result.output


def test_a_program_may_call_the_commands(run):
    """
    Without an exit: errors are exceptions then.
    """
    assert 0 == run().exit_code
    with pytest.raises(click.UsageError):
        cli.main(["stat"], standalone_mode=False)
