"""
The cpu commands.
"""

from __future__ import annotations

import json
from unittest.mock import call

import pytest
import yaml

from lbctl.model import Configuration
from tests.unit.cli.cpu_answers import ANSWERS, PLAN


def test_plan(run, fake):
    """
    Who has which CPU, what would change, and what cannot be.
    """
    result = run("cpu", "plan")

    assert (
        """\
CPU  ROLE       PROCESSOR  QUEUES                 APPS
  0  any        -          -                      -
  1  switching  fast       eth1 0,eth1 1,veth0 0  -

as configured
applied before: no
settings that are as wanted: 1
interrupts that `apply` may touch: 41,42

SETTING         NOW                          WANTED                       WHY
IRQ 41          0-1                          1                            served by this CPU
eth1 RSS table  0 1 0 1 0 1 0 1 0 1 0 1 ...  0 0 0 0 0 0 0 0 0 0 0 0 ...  every queue gets the same

cannot: veth0 interrupts: veth has no interrupts; `polling: threaded` pins a thread
note: the frequency of CPUs cannot be set here
"""
        == result.stdout
    )
    assert (0, "") == (result.exit_code, result.stderr)
    assert [call.plan_cpus(proposed=False, only_own=False)] == fake.mock_calls


def test_nothing_would_change(run, fake):
    """
    That is no data, so it is not among it.
    """
    fake.plan_cpus.return_value.update(settings=[], remarks=[], irqs=[], processors=[])
    result = run("cpu", "plan")

    assert result.stdout.endswith(
        "no processors\napplied before: no\nsettings that are as "
        "wanted: 0\ninterrupts that `apply` may touch: none\n"
    )
    assert "nothing would change\n" == result.stderr


def test_a_proposal_as_yaml(run, fake):
    """
    It is what belongs into the configuration, and nothing else.
    """
    fake.plan_cpus.return_value["source"] = "proposal"
    result = yaml.safe_load(run("cpu", "plan", "--proposed", "-o", "yaml").stdout)

    assert {
        "processors": [
            {
                "name": "fast",
                "role": "switching",
                "cpus": [1],
                "nics": ["eth1", "veth0"],
                "polling": "interrupt",
            }
        ]
    } == result
    assert Configuration.model_validate(result).processors
    assert [call.plan_cpus(proposed=True, only_own=False)] == fake.mock_calls


@pytest.mark.parametrize("source", ["configuration", "proposal"])
def test_a_plan_as_json(run, fake, source):
    """
    As it came.
    """
    fake.plan_cpus.return_value["source"] = source

    assert {**PLAN, "source": source} == json.loads(run("cpu", "plan", "-o", "json").stdout)


def test_apply(run, fake):
    """
    What was done; what cannot be done is no failure.
    """
    result = run("cpu", "apply", "--proposed", "--only-own")

    assert (
        """\
IRQ 41: 0-1 -> 1
lbctld: 0-1 -> 0
cannot: IRQ 43: the kernel or the driver keeps it as it is
note: the frequency of CPUs cannot be set here
"""
        == result.stdout
    )
    assert 0 == result.exit_code
    assert [call.apply_cpus(proposed=True, only_own=True)] == fake.mock_calls


def test_restore(run, fake):
    """
    What was undone, and what there was to undo no more.
    """
    result = run("cpu", "restore")

    assert "IRQ 41: 1 -> 0-1\ngone: eth2 rx 0 RPS\n" == result.stdout
    assert [call.restore_cpus()] == fake.mock_calls


def test_nothing_to_restore(run, fake):
    """
    That is said.
    """
    fake.restore_cpus.return_value.update(changed=[], gone=[])

    assert "no changes\n" == run("cpu", "restore").stdout


def test_calls(client, daemon):
    """
    What the daemon is asked.
    """
    daemon.answers["POST", "/v1/cpu/restore"] = (200, ANSWERS["restore_cpus"])
    client.plan_cpus(only_own=True)
    client.apply_cpus(proposed=True)

    assert ANSWERS["restore_cpus"] == client.restore_cpus()
    assert [
        ("GET", "/v1/cpu", {"only_own": "true"}),
        ("POST", "/v1/cpu/apply", {"proposed": "true"}),
        ("POST", "/v1/cpu/restore", {}),
    ] == [(asked.method, asked.path, asked.params) for asked in daemon.requests]
