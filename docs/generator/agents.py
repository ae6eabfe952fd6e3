"""The pages of the load agent and of the resource manager that runs on another computer."""

from __future__ import annotations

from generator import clicked, text
from lbctl.agent.cli import cli
from lbctl.control.resources.command import main as resource_manager

AGENT = """\
Runs on a back-end server and tells how busy it is: [how to use it](../howto/load-agent.md).
Each option of `run` and `report` is a key of the configuration file as well, with underscores
instead of dashes. The exit status is 0, 1 when something failed, or 2 when the words are wrong."""

MANAGER = """\
Asks the load agents in the place of a switch:
[on another computer](../howto/read-load.md#on-another-computer) says how."""


def agent_page() -> str:
    """The page of lbctl-agent."""
    found = clicked.context(cli, "lbctl-agent", None)
    parts = [clicked.section(each, 2) for each in clicked.commands(found)]
    return text.join("# lbctl-agent", AGENT, *parts)


def resource_manager_page() -> str:
    """The page of lbctl-resource-manager."""
    found = clicked.context(resource_manager, "lbctl-resource-manager", None)
    return text.join(clicked.section(found, 1), MANAGER)
