"""
The agent: look, answer and push, until somebody ends it.

It starts the parts and stops them; what any of them does is in its own module.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

from lbctl.agent.notify import notify
from lbctl.agent.push import Pusher
from lbctl.agent.sampler import Sampler
from lbctl.agent.server import Server, Services
from lbctl.agent.state import StateFile
from lbctl.agent.teller import Teller
from lbctl.agent.wire import LoadReport, read_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from lbctl.agent.settings import Settings

APART = 1.0  # seconds between the two looks of a single report


def make_teller(settings: Settings) -> tuple[Sampler, Teller]:
    """Make what looks and what tells.  Raises LbctlError for a key that is none."""
    sampler = Sampler(settings.probes())
    state = StateFile(settings.state_file, settings.state)
    key = read_key(settings.key_file) if settings.key_file else None
    return sampler, Teller(sampler, state, key, settings.name)


async def run(settings: Settings, announce: Callable[[str], None]) -> None:
    """Be the agent until SIGTERM or SIGINT; *announce* gets one line when it is ready."""
    sampler, teller = make_teller(settings)
    server = Server(teller)
    stopped = _stop_signal()
    addresses: list[str] = []
    services = Services(metrics=settings.metrics, agent_check=settings.agent_check)
    for address in settings.listen:
        addresses += await server.listen(address, services)
    for address in settings.check_listen:
        addresses += await server.listen(address, Services(http=False))
    await sampler.look()
    tasks = [asyncio.create_task(sampler.run())]
    if teller.key and settings.name:
        pushers = [Pusher(to, teller, teller.key, settings.name) for to in settings.push]
        tasks += [asyncio.create_task(pusher.run(settings.interval)) for pusher in pushers]
    notify("READY=1")
    announce(_ready(settings, addresses))
    waiting = asyncio.create_task(stopped.wait())
    try:
        done, _ = await asyncio.wait({waiting, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()  # a part that ended by itself did so with an error
    finally:
        notify("STOPPING=1")
        server.close()
        for task in (waiting, *tasks):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def report_once(settings: Settings, apart: float = APART) -> LoadReport:
    """Look twice, for rates and CPU need two looks, and give the report."""
    sampler, teller = make_teller(settings)
    await sampler.look()
    await asyncio.sleep(apart)
    await sampler.look()
    return teller.report()


def _stop_signal() -> asyncio.Event:
    """Make an event of the signals that end the agent."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    return stopped


def _ready(settings: Settings, addresses: list[str]) -> str:
    """Say in a line what it does."""
    key = "signs reports" if settings.key_file else "no key, so no reports"
    push = f", pushes to {', '.join(map(str, settings.push))}" if settings.push else ""
    name = f" {settings.name!r}" if settings.name else ""
    return (
        f"lbctl-agent{name} is ready: listens on {', '.join(addresses) or 'nothing'}, {key}{push}"
    )
