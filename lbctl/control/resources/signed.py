"""The signed kind: lbctl's own agent, asked over HTTP; every answer is sealed for that question."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from lbctl.agent import wire
from lbctl.agent.wire import BadReport
from lbctl.control.resources.http import HttpAsker
from lbctl.errors import UsageError
from lbctl.model.load import DEFAULT_PATHS, AgentKind

if TYPE_CHECKING:
    from lbctl.agent.wire import LoadReport
    from lbctl.control.resources.asking import OnEnd
    from lbctl.control.resources.keys import Keys
    from lbctl.model import Agent, SocketAddress


class Signed:
    """Asks with a nonce; only the sealed answer with that nonce and name counts."""

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._nonce = ""
        self._key = b""

    def asker(self, address: SocketAddress, on_end: OnEnd) -> HttpAsker:
        """HTTP."""
        return HttpAsker(address, wire.MAX_BYTES, on_end)

    def target(self, agent: Agent) -> str:
        """Make the path with a new nonce.  Raises LbctlError when there is no good key."""
        if agent.key_file is None:
            raise UsageError(f"agent {agent.address}: it has no key_file; give it one")
        self._key = self._keys.key(agent.key_file)
        self._nonce = secrets.token_hex(16)
        path = agent.path or DEFAULT_PATHS[AgentKind.LBCTL]
        return f"{path}{'&' if '?' in path else '?'}nonce={self._nonce}"

    def read(self, agent: Agent, answer: bytes) -> LoadReport:
        """Open the statement."""
        name, _, nonce, report = wire.open_(self._key, answer)
        if nonce != self._nonce:
            raise BadReport("the statement has another nonce: it answers another question")
        if name != str(agent.address):
            raise BadReport(f"the statement is by {name!a}, not by {agent.address}")
        return report
