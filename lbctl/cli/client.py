"""
The client: the daemon's API as methods; plain data in, plain data out.

Errors of the daemon come back as the classes of `lbctl.errors` that it raised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from lbctl.cli.calls import PATIENCE, path_of
from lbctl.cli.program_calls import ProgramCalls
from lbctl.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from lbctl.cli.calls import Row
    from lbctl.cli.transport import Stream


class Client(ProgramCalls):
    """One daemon, seen through its socket."""

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

    def preflight(self, names: Sequence[str]) -> Row:
        """Have the switch looked at; with *names* only these NICs."""
        return self._row("GET", "/v1/preflight", nic=list(names) or None)

    def plan_cpus(self, *, proposed: bool = False, only_own: bool = False) -> Row:
        """Ask who would have which CPU, and what would change."""
        return self._row("GET", "/v1/cpu", proposed=proposed, only_own=only_own)

    def apply_cpus(self, *, proposed: bool = False, only_own: bool = False) -> Row:
        """Give CPUs their tasks."""
        params = {"proposed": proposed, "only_own": only_own}
        return self._row("POST", "/v1/cpu/apply", None, **params)

    def restore_cpus(self) -> Row:
        """Undo that."""
        return self._row("POST", "/v1/cpu/restore")

    # -- pools, VIPs, back-ends ------------------------------------------------------------

    def pools(self) -> list[Row]:
        """Fetch all pools."""
        return self._rows("GET", "/v1/pools")

    def pool(self, name: str) -> Row:
        """Fetch one pool."""
        return self._row("GET", path_of("pools", name))

    def add_pool(self, pool: Row, *, force: bool = False) -> Row:
        """Add a pool with all it holds."""
        return self._row("POST", "/v1/pools", pool, force=force)

    def set_pool(self, name: str, fields: Row, *, force: bool = False) -> Row:
        """Change what *fields* names."""
        return self._row("PATCH", path_of("pools", name), fields, force=force)

    def remove_pool(self, name: str) -> Row:
        """Remove a pool."""
        return self._row("DELETE", path_of("pools", name))

    def vips(self) -> list[Row]:
        """Fetch the VIPs of all pools."""
        return self._rows("GET", "/v1/vips")

    def add_vip(self, pool: str, vip: object) -> Row:
        """Give a pool one more VIP."""
        return self._row("POST", path_of("pools", pool, "vips"), {"vip": str(vip)})

    def remove_vip(self, pool: str, vip: object) -> Row:
        """Take a VIP from a pool."""
        return self._row("DELETE", f"{path_of('pools', pool, 'vips')}/{quote(str(vip), safe='/')}")

    def backends(self, pool: str | None = None) -> list[Row]:
        """Fetch the back-ends of a pool, or of all."""
        return self._rows("GET", "/v1/backends", pool=pool)

    def add_backend(self, pool: str, backend: Row, *, force: bool = False) -> Row:
        """Give a pool one more back-end."""
        return self._row("POST", path_of("pools", pool, "backends"), backend, force=force)

    def set_backend(self, pool: str, address: object, fields: Row, *, force: bool = False) -> Row:
        """Change the weight or the state of a back-end."""
        path = path_of("pools", pool, "backends", str(address))
        return self._row("PATCH", path, fields, force=force)

    def remove_backend(self, pool: str, address: object, *, now: bool = False) -> Row:
        """Take a back-end from a pool; *now* cuts its connections off."""
        return self._row("DELETE", path_of("pools", pool, "backends", str(address)), now=now)

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

    def explain(self, question: Row) -> Row:
        """Ask what the switch would do with a packet."""
        return self._row("POST", "/v1/explain", question)

    def explain_frames(self, question: Row) -> list[Row]:
        """Ask the same about several frames."""
        return self._rows("POST", "/v1/explain/frames", question)

    def capture(self, wanted: Row) -> AbstractContextManager[Stream]:
        """Capture packets, as long as the context lasts or the capture does."""
        return self._stream("/v1/capture", wanted)

    def stop_capture(self, number: int | None = None) -> Row:
        """End the capture that runs, or only the one of that number."""
        return self._row("DELETE", "/v1/capture", number=number)

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
        return self._row("GET", path_of("agents", str(address)))

    def add_agent(self, agent: Row) -> Row:
        """Listen to one more load agent."""
        return self._row("POST", "/v1/agents", agent)

    def remove_agent(self, address: object) -> Row:
        """Listen to a load agent no more."""
        return self._row("DELETE", path_of("agents", str(address)))

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
