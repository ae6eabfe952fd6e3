"""
The model: what a user wants of the switch, as values that cannot change and do no I/O.

One form serves the command line, the HTTP API, the YAML file and the database.  Addresses are
written as people write them: ``203.0.113.10:80/tcp``, ``[2001:db8::1]:80/tcp``, ``10.0.1.11:8080``.
"""

from lbctl.model.addresses import (
    ANY_PORT,
    IPAddress,
    IPNetwork,
    PrefixText,
    Protocol,
    SocketAddress,
    SocketAddressText,
    Vip,
    VipText,
)
from lbctl.model.base import Model
from lbctl.model.configuration import (
    Collector,
    Configuration,
    Mode,
    Nic,
    Settings,
    Timeouts,
)
from lbctl.model.health import (
    AnyCheck,
    Check,
    GrpcCheck,
    HttpCheck,
    IcmpCheck,
    Passive,
    ScriptCheck,
    TcpCheck,
    UdpCheck,
)
from lbctl.model.load import Agent, AgentKind, Balance
from lbctl.model.pools import (
    DEFAULT_TABLE_SIZE,
    NAME,
    Backend,
    Forward,
    OnDown,
    OnUnknown,
    Pool,
    Rule,
    Scheduler,
    SchedulerName,
    State,
)
from lbctl.model.processors import Polling, Processor, Role
from lbctl.model.programs import App, InterfaceText, OnExit, Pseudo

__all__ = [
    "ANY_PORT",
    "DEFAULT_TABLE_SIZE",
    "NAME",
    "Agent",
    "AgentKind",
    "AnyCheck",
    "App",
    "Backend",
    "Balance",
    "Check",
    "Collector",
    "Configuration",
    "Forward",
    "GrpcCheck",
    "HttpCheck",
    "IPAddress",
    "IPNetwork",
    "IcmpCheck",
    "InterfaceText",
    "Mode",
    "Model",
    "Nic",
    "OnDown",
    "OnExit",
    "OnUnknown",
    "Passive",
    "Polling",
    "Pool",
    "PrefixText",
    "Processor",
    "Protocol",
    "Pseudo",
    "Role",
    "Rule",
    "Scheduler",
    "SchedulerName",
    "ScriptCheck",
    "Settings",
    "SocketAddress",
    "SocketAddressText",
    "State",
    "TcpCheck",
    "Timeouts",
    "UdpCheck",
    "Vip",
    "VipText",
]
