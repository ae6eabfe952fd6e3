"""
The edits of programs: what each verb makes of pseudo interfaces and network applications.

Pure, like `edits`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lbctl.control.edits import refuse_taken, replaced
from lbctl.control.program_checks import ends
from lbctl.errors import Conflict, NotFound
from lbctl.model import App, Configuration, Pseudo

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from ipaddress import IPv4Interface, IPv6Interface

    from lbctl.model import Vip

    Interface = IPv4Interface | IPv6Interface


def pseudo_of(configuration: Configuration, name: str) -> Pseudo:
    """The pseudo interface of that *name*.  Raises NotFound."""
    for pseudo in configuration.pseudo:
        if pseudo.name == name:
            return pseudo
    raise NotFound(f"there is no pseudo interface {name!r}; see `lbctl pseudo list`")


def app_of(configuration: Configuration, name: str) -> App:
    """The network application of that *name*.  Raises NotFound."""
    if app := configuration.app(name):
        return app
    raise NotFound(f"there is no app {name!r}; see `lbctl app list`")


def add_pseudo(configuration: Configuration, pseudo: Pseudo) -> Configuration:
    """Add a pseudo interface."""
    name = pseudo.name
    if any(other.name == name for other in configuration.pseudo):
        raise Conflict(
            f"pseudo interface {name!r} exists already; change it with `lbctl pseudo set {name}`"
        )
    if any(nic.name == name for nic in configuration.nics):
        raise Conflict(
            f"{name!r} is a NIC that is attached; choose another name, see `lbctl status`"
        )
    if name in ends(configuration):
        raise Conflict(
            f"{name!r} is an end of pseudo interface {ends(configuration)[name]!r}; "
            f"choose another name"
        )
    _refuse_taken_addresses(configuration, pseudo)
    return replaced(configuration, pseudo=(*configuration.pseudo, pseudo))


def set_pseudo(
    configuration: Configuration,
    name: str,
    fields: Mapping[str, Any],
    add: Sequence[Interface] = (),
    remove: Sequence[Interface] = (),
) -> Configuration:
    """Give a pseudo interface other values in *fields*; then *add* and *remove* addresses."""
    old = pseudo_of(configuration, name)
    addresses = [*fields.get("addresses", old.addresses)]
    for interface in add:
        if interface.ip in [other.ip for other in addresses]:
            raise Conflict(
                f"pseudo interface {name!r} has address {interface.ip} already; "
                f"see `lbctl pseudo show {name}`"
            )
        addresses.append(interface)
    for address in (interface.ip for interface in remove):
        if address not in [other.ip for other in addresses]:
            raise NotFound(
                f"pseudo interface {name!r} has no address {address}; "
                f"see `lbctl pseudo show {name}`"
            )
        addresses = [other for other in addresses if other.ip != address]
    if not addresses:
        raise Conflict(
            f"pseudo interface {name!r} would have no address left; remove it with "
            f"`lbctl pseudo remove {name}`"
        )
    new = Pseudo(**{**dict(old), **fields, "addresses": tuple(addresses)})
    _refuse_taken_addresses(configuration, new)
    pseudo = tuple(new if other is old else other for other in configuration.pseudo)
    return replaced(configuration, pseudo=pseudo)


def remove_pseudo(configuration: Configuration, name: str) -> Configuration:
    """Remove a pseudo interface; programs lose its addresses."""
    gone = pseudo_of(configuration, name)
    return replaced(configuration, pseudo=tuple(p for p in configuration.pseudo if p is not gone))


def add_app(configuration: Configuration, app: App) -> Configuration:
    """Add a network application."""
    if configuration.app(app.name):
        raise Conflict(
            f"app {app.name!r} exists already; change it with `lbctl app set {app.name}`"
        )
    refuse_taken(configuration, app)
    return replaced(configuration, apps=(*configuration.apps, app))


def set_app(
    configuration: Configuration,
    name: str,
    fields: Mapping[str, Any],
    add: Sequence[Vip] = (),
    remove: Sequence[Vip] = (),
) -> Configuration:
    """Give a network application other values in *fields*; then *add* and *remove* VIPs."""
    old = app_of(configuration, name)
    vips = [*fields.get("vips", old.vips)]
    for vip in add:
        if vip in vips:
            raise Conflict(f"app {name!r} has VIP {vip} already; see `lbctl app show {name}`")
        vips.append(vip)
    for vip in remove:
        if vip not in vips:
            raise NotFound(f"app {name!r} has no VIP {vip}; see `lbctl app show {name}`")
        vips.remove(vip)
    if not vips:
        raise Conflict(
            f"app {name!r} would have no VIP left; remove it with `lbctl app remove {name}`"
        )
    new = App(**{**dict(old), **fields, "vips": tuple(vips)})
    refuse_taken(configuration, new)
    return replaced(configuration, apps=tuple(new if a is old else a for a in configuration.apps))


def remove_app(configuration: Configuration, name: str) -> Configuration:
    """Remove a network application; packets for its VIPs have nobody then."""
    gone = app_of(configuration, name)
    for processor in configuration.processors:
        if name in processor.apps:
            raise Conflict(
                f"app {name!r} runs on processor {processor.name!r}; take it from there first, "
                f"see `lbctl export`"
            )
    return replaced(configuration, apps=tuple(app for app in configuration.apps if app is not gone))


def _refuse_taken_addresses(configuration: Configuration, pseudo: Pseudo) -> None:
    own = {interface.ip for interface in pseudo.addresses}
    for other in configuration.pseudo:
        for interface in other.addresses:
            if other.name != pseudo.name and interface.ip in own:
                raise Conflict(
                    f"address {interface.ip} belongs to pseudo interface {other.name!r}; take it "
                    f"from there with `lbctl pseudo set {other.name} "
                    f"--remove-address {interface.ip}`"
                )
