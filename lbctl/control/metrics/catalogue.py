"""
The catalogue: every metric that there is, its labels, and what it means.

Data only.  The page docs/monitoring/README.md, its rules and its dashboard are tested against it.

Names follow Prometheus: base units, `_total` of what only grows, `_info` of what is always 1.  No
label has a client's address or anything else that packets could choose, so that the number of
series follows from the configuration alone; see `series`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

PREFIX = "lbctl_"
UNITS = ("seconds", "bytes", "ratio")
EVENT_KINDS = (  # shown from the start, so that the first of each is seen to come
    *("agent", "app", "capture", "configuration", "health", "load", "nic", "passive", "pool"),
)
TABLES = ("connections", "services", "backends", "slots", "next_hops", "routes", "rules")


class Kind(StrEnum):
    """What can be done with the values of a metric."""

    COUNTER = "counter"  # it only grows, or starts over at 0
    GAUGE = "gauge"
    INFO = "info"  # always 1: the labels are what it says


class Metric(NamedTuple):
    """One metric; `labels` are the names of its labels, in the order in which they are written."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        """Its name in OpenMetrics, without what follows from its kind."""
        return self.name.removesuffix("_total").removesuffix("_info")

    @property
    def unit(self) -> str | None:
        """Its unit, if it has one."""
        last = self.family.rpartition("_")[2]
        return last if last in UNITS else None


def _counter(name: str, text: str, *labels: str) -> Metric:
    return Metric(f"{PREFIX}{name}_total", Kind.COUNTER, text, labels)


def _gauge(name: str, text: str, *labels: str) -> Metric:
    return Metric(PREFIX + name, Kind.GAUGE, text, labels)


def _info(name: str, text: str, *labels: str) -> Metric:
    return Metric(f"{PREFIX}{name}_info", Kind.INFO, text, labels)


# -- lbctld itself -------------------------------------------------------------------------------

BUILD = _info("build", "Which instance this is, and of which version.", "name", "version", "abi")
GENERATION = _gauge("generation", "Number of the configuration that is in force.")
ACTIVE_BUFFER = _gauge("active_buffer", "1 for the buffer that packets read, else 0.", "buffer")
PUBLISHES = _counter("publishes", "Configurations given to packets since lbctld started.")
LAST_PUBLISH = _gauge(
    "last_publish_timestamp_seconds",
    "When a configuration was last given to packets, in seconds since 1970.",
)
LAST_PUBLISH_DURATION = _gauge(
    "last_publish_duration_seconds", "How long the last publishing took."
)
EVENTS = _counter("events", "Events since lbctld started, as `lbctl events` has them.", "kind")
SCRAPE = _gauge("scrape_duration_seconds", "How long it took to collect what is on this page.")
PROCESS = (
    Metric("process_cpu_seconds_total", Kind.COUNTER, "CPU time that lbctld used."),
    Metric("process_resident_memory_bytes", Kind.GAUGE, "Memory that lbctld has, tables included."),
    Metric("process_virtual_memory_bytes", Kind.GAUGE, "Address space that lbctld has."),
    Metric("process_start_time_seconds", Kind.GAUGE, "When lbctld started, in seconds since 1970."),
    Metric("process_open_fds", Kind.GAUGE, "File descriptors that lbctld has open."),
    Metric("process_max_fds", Kind.GAUGE, "File descriptors that lbctld may have open."),
)

# -- NICs ----------------------------------------------------------------------------------------

NIC = _info(
    "nic", "A NIC, how its program sits on it, and which one.", "nic", "mode", "program_tag"
)
NIC_ATTACHED = _gauge("nic_attached", "Whether the NIC has its switching processor.", "nic")
NIC_UP = _gauge("nic_up", "Whether the NIC is up and has a carrier.", "nic")
NIC_PACKETS = _counter(
    "nic_packets", "Packets that the NIC received, by what became of them.", "nic", "verdict"
)
NIC_BYTES = _counter(
    "nic_bytes", "Bytes of these packets, with the Ethernet header.", "nic", "verdict"
)

# -- tables --------------------------------------------------------------------------------------

TABLE_ENTRIES = _gauge("table_entries", "Entries of the table in use.", "table")
TABLE_LIMIT = _gauge(
    "table_entries_limit", "How many there may be, by the option of lbctld of that name.", "table"
)

# -- pools and VIPs ------------------------------------------------------------------------------

POOL = _info("pool", "A pool, its scheduler and how it forwards.", "pool", "scheduler", "forward")
POOL_SERVED = _gauge("pool_served", "Whether anybody gets the pool's new connections.", "pool")
POOL_ON_BACKUP = _gauge(
    "pool_on_backup", "Whether the back-ends of another pool get them, for it is down.", "pool"
)
POOL_PANICKING = _gauge(
    "pool_panicking", "Whether all back-ends are asked, for too few are well.", "pool"
)
POOL_SCHEDULER_FAILING = _gauge(
    "pool_scheduler_failing", "Whether the scheduler cannot do its work.", "pool"
)
POOL_BACKENDS = _gauge("pool_backends", "Back-ends in that state.", "pool", "state")
VIP = _info("vip", "A VIP, and whose it is.", "pool", "vip")
VIP_PACKETS = _counter(
    "vip_verdict_packets",
    "Packets for the VIP that had an unusual end, by which.",
    *("pool", "vip", "verdict"),
)

# -- back-ends: what was counted, for each VIP ---------------------------------------------------

SERVED = ("pool", "vip", "backend")
RECEIVED_PACKETS = _counter(
    "backend_received_packets", "Packets of clients that went to the back-end.", *SERVED
)
RECEIVED_BYTES = _counter("backend_received_bytes", "Bytes of these packets.", *SERVED)
SENT_PACKETS = _counter(
    "backend_sent_packets",
    "Replies of the back-end that went through the switch to clients.",
    *SERVED,
)
SENT_BYTES = _counter("backend_sent_bytes", "Bytes of these replies.", *SERVED)
NEW_CONNECTIONS = _counter(
    "backend_new_connections", "New connections that the back-end was given.", *SERVED
)
ANSWERS = _counter(
    "backend_answers", "New TCP connections that the back-end answered; nat only.", *SERVED
)
RESETS = _counter(
    "backend_resets", "New TCP connections that the back-end refused; nat only.", *SERVED
)
RETRIES = _counter(
    "backend_retries",
    "SYNs that were sent again because the back-end was silent; nat only.",
    *SERVED,
)
BACKEND_PACKETS = _counter(
    "backend_verdict_packets",
    "Packets of connections to the back-end that had an unusual end, by which.",
    *(*SERVED, "verdict"),
)
OPEN_CONNECTIONS = _gauge(
    "backend_open_connections",
    "Connections that the back-end has; closed ones do not count.",
    *SERVED,
)

# -- back-ends: how they stand -------------------------------------------------------------------

MEMBER = ("pool", "backend")
STATE = _gauge(
    "backend_state", "1 for the state that the back-end is in, else 0.", *(*MEMBER, "state")
)
REACHABLE = _gauge(
    "backend_reachable",
    "Whether the switch knows the way to the back-end: route, NIC and MAC.",
    *MEMBER,
)
WEIGHT = _gauge("backend_weight", "Weight of the back-end as configured.", *MEMBER)
WANTED_SHARE = _gauge(
    "backend_wanted_share_ratio",
    "Part of the pool's new connections that the scheduler asks for, 0 to 1.",
    *MEMBER,
)
GIVEN_SHARE = _gauge(
    "backend_given_share_ratio",
    "Part of the new connections that was dealt to the back-end, 0 to 1.",
    *MEMBER,
)
MEASURED_SHARE = _gauge(
    "backend_measured_share_ratio",
    "Part that it got in the last half minute, 0 to 1; missing while there are too few.",
    *MEMBER,
)
LOAD = _gauge(
    "backend_load_ratio",
    "Load of the back-end, 0 to 1 and more; missing if no agent told.",
    *MEMBER,
)
LOAD_AGE = _gauge("backend_load_age_seconds", "How long ago the load was told.", *MEMBER)
INHIBITED = _gauge(
    "backend_inhibited",
    "Whether passive health keeps the back-end from new connections; missing without.",
    *MEMBER,
)
HEALTH_UP = _gauge(
    "health_up",
    "Whether the check finds the back-end well; missing before the first look.",
    *(*MEMBER, "check"),
)
HEALTH_RESPONSE = _gauge(
    "health_response_seconds",
    "How long the last good answer to the check took.",
    *(*MEMBER, "check"),
)

# -- load agents ---------------------------------------------------------------------------------

AGENT_STATE = _gauge(
    "agent_state",
    "1 for the state that the agent is in: fresh, silent or waiting.",
    "agent",
    "state",
)
AGENT_AGE = _gauge("agent_age_seconds", "How long ago the agent spoke; missing if never.", "agent")
AGENT_REPORTS = _counter("agent_reports", "Reports of the agent that count.", "agent")
AGENT_FAILURES = _counter("agent_failures", "Times that the agent did not answer.", "agent")
AGENT_REFUSALS = _counter("agent_refusals", "Answers of the agent that do not count.", "agent")
AGENT = _info("agent", "A load agent and how it is asked.", "agent", "kind")

# -- network applications ------------------------------------------------------------------------

APP_UP = _gauge("app_up", "Whether the application runs and looks at its packets.", "app")
APP_EXITS = _counter("app_exits", "Times that the application ended.", "app")
APP_HANGS = _counter("app_hangs", "Times that the application was taken for hung.", "app")
APP_VERDICTS = _counter(
    "app_verdict_packets",
    "Packets for the application's VIP, by what became of them; not those of the kernel.",
    *("app", "vip", "verdict"),
)
APP_PACKETS = _counter(
    "app_packets",
    "What the application did with packets since it started.",
    *("app", "what"),
)
APP_LOST = _counter(
    "app_lost_packets",
    "Packets that the application had no room for, since it started, by where and why.",
    *("app", "nic", "queue", "reason"),
)

# -- pseudo interfaces ---------------------------------------------------------------------------

PSEUDO_UP = _gauge(
    "pseudo_up", "Whether the pseudo interface is there, and served by the switch.", "pseudo"
)
PSEUDO_RECEIVED = _counter(
    "pseudo_received_packets",
    "Packets for its addresses; missing where several pseudo interfaces share the counter.",
    "pseudo",
)
PSEUDO_SENT = _counter(
    "pseudo_sent_packets", "Packets of programs that left by the routing table.", "pseudo"
)

METRICS = (
    *(BUILD, GENERATION, ACTIVE_BUFFER, PUBLISHES, LAST_PUBLISH, LAST_PUBLISH_DURATION),
    *(EVENTS, SCRAPE, *PROCESS),
    *(NIC, NIC_ATTACHED, NIC_UP, NIC_PACKETS, NIC_BYTES),
    *(TABLE_ENTRIES, TABLE_LIMIT),
    *(POOL, POOL_SERVED, POOL_ON_BACKUP, POOL_PANICKING, POOL_SCHEDULER_FAILING, POOL_BACKENDS),
    *(VIP, VIP_PACKETS),
    *(RECEIVED_PACKETS, RECEIVED_BYTES, SENT_PACKETS, SENT_BYTES, NEW_CONNECTIONS),
    *(ANSWERS, RESETS, RETRIES, BACKEND_PACKETS, OPEN_CONNECTIONS),
    *(STATE, REACHABLE, WEIGHT, WANTED_SHARE, GIVEN_SHARE, MEASURED_SHARE, LOAD, LOAD_AGE),
    *(INHIBITED, HEALTH_UP, HEALTH_RESPONSE),
    *(AGENT, AGENT_STATE, AGENT_AGE, AGENT_REPORTS, AGENT_FAILURES, AGENT_REFUSALS),
    *(APP_UP, APP_EXITS, APP_HANGS, APP_VERDICTS, APP_PACKETS, APP_LOST),
    *(PSEUDO_UP, PSEUDO_RECEIVED, PSEUDO_SENT),
)
BY_NAME = {metric.name: metric for metric in METRICS}
