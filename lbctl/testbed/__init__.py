"""
The test bed: the network that the switch is made for, in namespaces of one machine.

`Testbed` makes and removes it, `server` and `load` are what runs in it, `demo` shows the switch at
work.  It uses lbctl from outside, as a user would.
"""

from lbctl.testbed.plan import Host, Plan
from lbctl.testbed.testbed import Testbed

__all__ = ["Host", "Plan", "Testbed"]
