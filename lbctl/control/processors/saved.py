"""
The memory: what was set before, so that it can be set again; one file in the state directory.

Written before anything is changed, and replaced at once: a crash leaves the old or the new one.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from pydantic import ValidationError

from lbctl.control.processors.facts import Kind, Place
from lbctl.errors import LbctlError
from lbctl.model import Model, Processor

if TYPE_CHECKING:
    from pathlib import Path

FILE = "processors.json"

log = logging.getLogger(__name__)


class Setting(Model):
    """
    A place, what was there before, and what is *wanted* there.

    None: nothing, but it could be lost when queues or threads come or go.
    """

    kind: Kind
    name: str
    number: int
    identity: int
    former: str
    wanted: str | None

    @property
    def place(self) -> Place:
        """Where."""
        return Place(self.kind, self.name, self.number, self.identity)


class Saved(Model):
    """What was applied, in the order in which it was done, since a start of the machine."""

    boot: str
    only_own: bool = False
    processors: tuple[Processor, ...] = ()
    settings: tuple[Setting, ...] = ()


class Memory:
    """The file of one instance."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / FILE

    def read(self) -> Saved | None:
        """What was applied; None: nothing."""
        try:
            return Saved.model_validate_json(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError:
            damaged = self.path.with_suffix(".damaged")
            log.exception("%s: makes no sense; it is %s now", self.path, damaged)
            self.path.replace(damaged)
            return None
        except OSError as err:
            raise LbctlError(f"{self.path}: {err.strerror}; check the disk") from err

    def write(self, saved: Saved) -> None:
        """Remember *saved*, before this returns.  Raises LbctlError."""
        fresh = self.path.with_suffix(".new")
        try:
            with fresh.open("wb") as file:
                file.write(saved.model_dump_json(indent=1).encode())
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.path)
            self._settle()
        except OSError as err:
            raise LbctlError(f"{self.path}: {err.strerror}; nothing was changed") from err

    def forget(self) -> None:
        """Have nothing to undo."""
        self.path.unlink(missing_ok=True)
        self._settle()

    def _settle(self) -> None:
        """See to it that the folder is on the disk as it is."""
        descriptor = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
