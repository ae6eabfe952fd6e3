/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Shared memory: the tables that switching processors and control processor both see.
 *
 * The control processor makes and pins them (lbctl/shared/tables.py) before this is compiled; here
 * they are opened by their pins.  All hot tables are memory-mapped arrays: a look-up is a bounds
 * check and an addition, and Python reads and writes the very same memory.
 *
 * The sizes come from the command line of the compiler: LB_DIRECTORY_BITS, LB_GROUP_BITS,
 * LB_SLOT_LINES, LB_RULES, LB_SERVICES, LB_BACKENDS, LB_SET_BITS, LB_NEXT_HOPS, LB_ROUTES, LB_CPUS, and LB_PINS,
 * the folder.
 */
#ifndef LB_TABLES_H
#define LB_TABLES_H

#define LB_MMAPABLE (1U << 10)
#define LB_NO_PREALLOC 1U
#define LB_TABLE(kind, key, value, name, size, flags) \
	BPF_TABLE_PINNED7(kind, key, value, name, size, LB_PINS "/" #name, flags)

#define LB_DIRECTORY (1U << LB_DIRECTORY_BITS)
#define LB_GROUPS (1U << LB_GROUP_BITS)
#define LB_SETS (1U << LB_SET_BITS)

/* What every packet reads first: the active buffer, the timeouts, the keys. */
LB_TABLE("array", u32, struct lb_control, control, 1, LB_MMAPABLE);

/* Configuration, buffers A and B behind each other; see directory.h for the first two. */
LB_TABLE("array", u32, struct lb_service, services, 2 * LB_DIRECTORY, LB_MMAPABLE);
LB_TABLE("array", u32, u64, displacements, 2 * LB_GROUPS, LB_MMAPABLE);
LB_TABLE("array", u32, struct lb_slots, slots, 2 * LB_SLOT_LINES, LB_MMAPABLE);
LB_TABLE("array", u32, struct lb_backend, backends, 2 * LB_BACKENDS, LB_MMAPABLE);
/* One more than two buffers hold: kernels before 6.13 want room for an entry that they replace. */
LB_TABLE("lpm_trie", struct lb_rule_key, struct lb_run, rules, 2 * LB_RULES + 1, LB_NO_PREALLOC);

/* Connections: hot entries in sets of one cache line, and their details beside them. */
LB_TABLE("array", u32, struct lb_connection_set, connections, LB_SETS, LB_MMAPABLE);
LB_TABLE("array", u32, struct lb_connection_detail, details, LB_SETS *LB_WAYS, LB_MMAPABLE);

/* Routing: longest prefix to next hop, and the next hops themselves. */
LB_TABLE("lpm_trie", struct lb_route_key, u32, routes, LB_ROUTES, LB_NO_PREALLOC);
LB_TABLE("array", u32, struct lb_next_hop, next_hops, LB_NEXT_HOPS, LB_MMAPABLE);

/* NICs: which one is this, and where can a packet leave. */
LB_TABLE("array", u32, struct lb_nic, nics, LB_IFINDEX_MAX, LB_MMAPABLE);
struct lb_exits {
	u32 key;
	u32 leaf;
	int (*redirect_map)(int, int);
	u32 max_entries;
};
__attribute__((section("maps/devmap:" LB_PINS "/exits"))) struct lb_exits exits = {
	.max_entries = LB_NICS_MAX,
};

/* The AF_XDP sockets of network applications, by application, NIC and queue. */
struct lb_app_sockets {
	u32 key;
	u32 leaf;
	int (*redirect_map)(int, int);
	u32 max_entries;
};
__attribute__((section("maps/xskmap:" LB_PINS "/apps"))) struct lb_app_sockets apps = {
	.max_entries = LB_APPS_MAX * LB_NICS_MAX * LB_APP_QUEUES,
};

/* Counters, one block per CPU. */
LB_TABLE("array", u32, struct lb_counter, verdicts, LB_CPUS * LB_NICS_MAX * LB_VERDICTS,
	 LB_MMAPABLE);
LB_TABLE("array", u32, struct lb_backend_counter, traffic, LB_CPUS *LB_BACKENDS, LB_MMAPABLE);
LB_TABLE("array", u32, struct lb_reasons, reasons, LB_CPUS *(LB_SERVICES + LB_BACKENDS),
	 LB_MMAPABLE);

#endif
