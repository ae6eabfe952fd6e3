"""The building: names, pools and a configuration of what an importer has read."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import ValidationError

from lbctl.cli.defaults import compact
from lbctl.control.validation import usage_error
from lbctl.model import ANY_PORT, Configuration, Nic

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lbctl.cli.importing.remarks import Remarks
    from lbctl.model import Vip

LONGEST = 63  # characters of a name
OTHER = re.compile(r"[^A-Za-z0-9._-]")


class Imported(NamedTuple):
    """A valid configuration, and what is to be said of how it came about."""

    configuration: Configuration
    remarks: Remarks


class Names:
    """The names of pools: every one is valid, and none is given twice."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def give(self, like: str) -> str:
        """Give a name that is *like* the one wanted."""
        plain = OTHER.sub("-", like)
        if not plain[:1].isalnum():
            plain = f"pool{plain}"
        name, number = plain[:LONGEST], 1
        while name in self._taken:
            number += 1
            end = f"-{number}"
            name = f"{plain[: LONGEST - len(end)]}{end}"
        self._taken.add(name)
        return name


def vip_name(vip: Vip) -> str:
    """What a pool is called that has nothing but its VIP: `203.0.113.10-80-tcp`."""
    port = "any" if vip.port == ANY_PORT else vip.port
    return f"{vip.address}-{port}-{vip.protocol}"


def with_nics(imported: Imported, names: Iterable[str]) -> Imported:
    """Let the configuration serve NICs.  Raises UsageError where a name cannot be one."""
    fields = dict(imported.configuration)
    try:
        fields["nics"] = tuple(Nic(name=name) for name in dict.fromkeys(names))
    except ValidationError as err:
        raise usage_error(err.errors()) from err
    return imported._replace(configuration=Configuration(**fields))


def exported(imported: Imported) -> dict[str, Any]:
    """The configuration in the form of `lbctl export`."""
    return compact(imported.configuration.model_dump(mode="json"))


def summary(imported: Imported) -> str:
    """Say in one line how much was taken."""
    pools = imported.configuration.pools
    vips = sum(len(pool.vips) for pool in pools)
    backends = sum(len(pool.backends) for pool in pools)
    return f"taken: pools: {len(pools)}, VIPs: {vips}, back-ends: {backends}"
