"""
A controller that is killed at a chosen moment of a change, as a program.

    python -m tests.unit.control.crash FOLDER MOMENT

The tables outlive it as pinned ones would: FOLDER/tables has what was published last.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

from lbctl.control.controller import Controller
from lbctl.control.store import Store
from lbctl.model import Nic
from tests.unit.control.fakes import Dataplane, Links, Routing, configured, web

ETH0 = {"name": "eth0"}
OLD = configured(nics=[ETH0], pools=[web(1)])
NEW = configured(nics=[ETH0], pools=[web(1, 1)])


def die() -> None:
    """End at once, as by kill -9 or a power cut."""
    os.kill(os.getpid(), signal.SIGKILL)


def main(folder: Path, moment: str) -> None:
    """Apply OLD, then NEW, and die in between or after."""
    links = Links()
    plane, store = Dataplane(links), Store(folder)
    tables = plane.configuration
    controller = Controller(plane, store, Routing(), links=links)
    controller.start()
    controller.attach([Nic(name="eth0")], "root")
    controller.apply(OLD, "root")

    def before(_generation: int) -> None:
        if moment == "before publishing":
            die()

    def after(generation: int) -> None:
        published = [len(service.backends) for service in tables.services]
        (folder / "tables").write_text(json.dumps([generation, published]))
        if moment == "after publishing":
            die()

    tables.before_publish, tables.after_publish = before, after
    controller.apply(NEW, "root")
    die()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
