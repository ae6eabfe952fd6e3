"""
The broker: give network applications, which need no privilege, the sockets for their packets.

It makes memory and AF_XDP sockets, has the switching processors know them, hands them over and
keeps none.  An application is there as long as its connection is; its sockets outlive lbctld.
"""

from lbctl.control.broker.broker import Broker
from lbctl.control.broker.listener import listening, path_beside

__all__ = ["Broker", "listening", "path_beside"]
