"""
The importer of HAProxy: make pools of a haproxy.cfg.

`lines` splits it into sections; `assembly` decides which pools there are; the others read a
kind of line each: `binds`, `choices` with `conditions`, `servers`, `balance`, `checks`, `policy`;
of all other lines `ignored` says why they are not needed or not taken.  Pure: no name is resolved.
"""

from lbctl.cli.importing.haproxy.assembly import read

__all__ = ["read"]
