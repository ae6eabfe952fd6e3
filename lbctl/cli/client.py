"""
The client: the daemon's API as methods; plain data in, plain data out.

Errors of the daemon come back as the classes of `lbctl.errors` that it raised.
"""

from __future__ import annotations

import getpass
import os
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from lbctl import __version__
from lbctl.errors import BY_EXIT_CODE, LbctlError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    Row = dict[str, Any]

PATIENCE = 60.0  # seconds for an answer; a change compiles and may wait for neighbors


class Client:
    """One daemon, seen through its socket."""

    def __init__(self, socket: str, *, start: str, patience: float = PATIENCE) -> None:
        self.socket = socket
        self.start = start
        self.patience = patience

    # -- the switch ------------------------------------------------------------------------

    def status(self) -> Row:
        """Fetch the switch at a glance."""
        return self._row("GET", "/v1/status")

    def attach(self, names: Sequence[str], mode: str) -> list[Row]:
        """Attach all of *names*, or none when one fails."""
        nics = [{"name": name, "mode": mode} for name in dict.fromkeys(names)]
        return self._rows("POST", "/v1/nics", {"nics": nics})

    def detach(self, names: Sequence[str] | None) -> list[str]:
        """Detach all of *names*, or none when one fails; None means every NIC there is."""
        if names is None:
            names = [nic["name"] for nic in self.configuration()["nics"]]
        chosen = list(dict.fromkeys(names))
        if chosen:
            self._row("DELETE", "/v1/nics", name=chosen)
        return chosen

    # -- pools, VIPs, back-ends ------------------------------------------------------------

    def pools(self) -> list[Row]:
        """Fetch all pools."""
        return self._rows("GET", "/v1/pools")

    def pool(self, name: str) -> Row:
        """Fetch one pool."""
        return self._row("GET", _path("pools", name))

    def add_pool(self, pool: Row, *, force: bool = False) -> Row:
        """Add a pool with all it holds."""
        return self._row("POST", "/v1/pools", pool, force=force)

    def set_pool(self, name: str, fields: Row, *, force: bool = False) -> Row:
        """Change what *fields* names."""
        return self._row("PATCH", _path("pools", name), fields, force=force)

    def remove_pool(self, name: str) -> Row:
        """Remove a pool."""
        return self._row("DELETE", _path("pools", name))

    def vips(self) -> list[Row]:
        """Fetch the VIPs of all pools."""
        return self._rows("GET", "/v1/vips")

    def add_vip(self, pool: str, vip: object) -> Row:
        """Give a pool one more VIP."""
        return self._row("POST", _path("pools", pool, "vips"), {"vip": str(vip)})

    def remove_vip(self, pool: str, vip: object) -> Row:
        """Take a VIP from a pool."""
        return self._row("DELETE", f"{_path('pools', pool, 'vips')}/{quote(str(vip), safe='/')}")

    def backends(self, pool: str | None = None) -> list[Row]:
        """Fetch the back-ends of a pool, or of all."""
        return self._rows("GET", "/v1/backends", pool=pool)

    def add_backend(self, pool: str, backend: Row, *, force: bool = False) -> Row:
        """Give a pool one more back-end."""
        return self._row("POST", _path("pools", pool, "backends"), backend, force=force)

    def set_backend(self, pool: str, address: object, fields: Row, *, force: bool = False) -> Row:
        """Change the weight or the state of a back-end."""
        path = _path("pools", pool, "backends", str(address))
        return self._row("PATCH", path, fields, force=force)

    def remove_backend(self, pool: str, address: object, *, now: bool = False) -> Row:
        """Take a back-end from a pool; *now* cuts its connections off."""
        return self._row("DELETE", _path("pools", pool, "backends", str(address)), now=now)

    # -- the configuration as a whole ------------------------------------------------------

    def configuration(self) -> Row:
        """Fetch everything that is wanted of the switch."""
        return self._row("GET", "/v1/configuration")

    def apply(self, configuration: Row, *, dry_run: bool = False, force: bool = False) -> Row:
        """Make the switch do what *configuration* says, or only say what would change."""
        return self._row("POST", "/v1/configuration", configuration, dry_run=dry_run, force=force)

    def diff(self, configuration: Row) -> Row:
        """Ask what `apply` would change."""
        return self._row("POST", "/v1/configuration/diff", configuration)

    def generations(self) -> list[Row]:
        """Fetch the history."""
        return self._rows("GET", "/v1/generations")

    def rollback(self, generation: int, *, force: bool = False) -> Row:
        """Make a new generation with the content of an old one."""
        return self._row("POST", f"/v1/generations/{generation}/rollback", force=force)

    # -- what the switching processors see -------------------------------------------------

    def routes(self) -> list[Row]:
        """Fetch the routing table."""
        return self._rows("GET", "/v1/routes")

    def neighbors(self) -> list[Row]:
        """Fetch the hosts and gateways that routes and back-ends need."""
        return self._rows("GET", "/v1/neighbors")

    def connections(self, *, limit: int | None = None, **chosen: object) -> list[Row]:
        """Fetch the connections that match."""
        return self._rows("GET", "/v1/connections", limit=limit, **chosen)

    def count_connections(self, **chosen: object) -> Row:
        """Count the connections that match."""
        return self._row("GET", "/v1/connections/count", None, **chosen)

    def flush_connections(self, **chosen: object) -> Row:
        """Forget the connections that match."""
        return self._row("DELETE", "/v1/connections", None, **chosen)

    def stats(self) -> Row:
        """Fetch all counters."""
        return self._row("GET", "/v1/stats")

    def drops(self) -> list[Row]:
        """Fetch what was discarded, and why."""
        return self._rows("GET", "/v1/drops")

    # -- health, load agents, events -------------------------------------------------------

    def health(self, pool: str | None = None) -> list[Row]:
        """Fetch what the checks of a pool, or of all, found."""
        return self._rows("GET", "/v1/health", pool=pool)

    def check_health(self, pool: str, address: object, *, patience: float = 0) -> Row:
        """Check one back-end now; that takes up to *patience* seconds."""
        body = {"pool": pool, "address": str(address)}
        answer: Row = self._call("POST", "/v1/health/check", body, {}, longer=patience)
        return answer

    def agents(self) -> list[Row]:
        """Fetch all load agents."""
        return self._rows("GET", "/v1/agents")

    def agent(self, address: object) -> Row:
        """Fetch one load agent."""
        return self._row("GET", _path("agents", str(address)))

    def add_agent(self, agent: Row) -> Row:
        """Listen to one more load agent."""
        return self._row("POST", "/v1/agents", agent)

    def remove_agent(self, address: object) -> Row:
        """Listen to a load agent no more."""
        return self._row("DELETE", _path("agents", str(address)))

    def events(
        self,
        *,
        after: int | None = None,
        limit: int | None = None,
        wait: float | None = None,
        kind: str | None = None,
    ) -> list[Row]:
        """
        Fetch events, oldest first: the newest, or those with a number greater than *after*.

        With *after* waits up to *wait* seconds for the first.
        """
        params = {"after": after, "limit": limit, "wait": wait, "kind": kind}
        answer: list[Row] = self._call("GET", "/v1/events", None, params, longer=wait or 0)
        return answer

    # -- one call --------------------------------------------------------------------------

    def _row(self, method: str, path: str, body: Row | None = None, /, **params: object) -> Row:
        answer: Row = self._call(method, path, body, params)
        return answer

    def _rows(
        self, method: str, path: str, body: Row | None = None, /, **params: object
    ) -> list[Row]:
        answer: list[Row] = self._call(method, path, body, params)
        return answer

    def _call(
        self, method: str, path: str, body: Row | None, params: Row, *, longer: float = 0
    ) -> Any:  # noqa: ANN401
        from lbctl.cli.transport import Call, send  # noqa: PLC0415 - httpx is slow to import

        # A parameter that was not given, or is off, is not sent.
        given = {k: _text(v) for k, v in params.items() if v is not None and v is not False}
        headers = {"X-Lbctl-Who": who(), "User-Agent": f"lbctl/{__version__}"}
        patience = self.patience + longer
        call = Call(self.socket, method, path, given, body, headers, patience, self.start)
        answer = send(call)
        if answer.status >= 400:
            raise _error(call.method, call.path, answer.status, answer.data)
        return answer.data


def connect(name: str, socket: str | None, *, patience: float = PATIENCE) -> Client:
    """Make the client of the instance *name*; nothing is sent yet."""
    if socket:
        return Client(socket, start=f"`sudo lbctld --socket {socket}`", patience=patience)
    if not name.strip(".") or "/" in name:
        raise UsageError(f"--name: {name!r} is not the name of an instance")
    start = "`sudo lbctld` or `sudo systemctl start lbctld`"
    if name != "default":
        start = f"`sudo lbctld --name {name}`"
    return Client(f"/run/lbctl/{name}.sock", start=start, patience=patience)


def who() -> str:
    """Name the person for the history of generations; not a proof of identity."""
    try:
        name = os.environ.get("SUDO_USER") or getpass.getuser()
    except (KeyError, OSError):  # a user without an entry, as in containers
        name = f"uid {os.getuid()}"
    # What a header can carry.
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in name)


def _path(*parts: str) -> str:
    """
    Make a path of names.

    The daemon takes %2F for a slash, and libraries take dots away: such a name would address
    another thing.
    """
    for part in parts:
        if not part.strip(".") or "/" in part:
            raise UsageError(f"{part!r} is not a name; use letters, digits, '.', '_' and '-'")
    return "/".join(["/v1", *(quote(part, safe="") for part in parts)])


def _text(value: object) -> str | list[str]:
    if isinstance(value, list):
        return [str(item) for item in value]
    return "true" if value is True else str(value)


def _error(method: str, path: str, status: int, data: object) -> LbctlError:
    """Make the error that the daemon raised; what is not its form is another version's."""
    if isinstance(data, dict) and isinstance(data.get("error"), str):
        kind = BY_EXIT_CODE.get(data.get("exit_code", 1), LbctlError)
        return kind(data["error"])
    if status in (404, 405):
        return LbctlError(
            f"lbctld does not know {method} {path}; "
            f"compare `lbctl --version` with `lbctl status` and restart lbctld"
        )
    return LbctlError(f"{method} {path}: lbctld failed ({status}); see `journalctl -u lbctld`")
