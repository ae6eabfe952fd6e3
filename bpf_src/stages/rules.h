/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The rules of a service: some new connections have a run of slots of their own.
 *
 * A rule for the packet's port goes before one for any port; of several the longest prefix of the
 * client's address wins.  Without a rule it is the service's own run.  A run with a single server
 * has a single slot.
 */
#ifndef LB_RULES_H
#define LB_RULES_H

/* The run of the rule for @port, if there is one, as one number: half of it is 0 at worst. */
static __always_inline __u64 lb_rule_find(const struct lb_packet *pkt, __be16 port)
{
	struct lb_rule_key key = {
		.prefix_length = 192,
		.service = pkt->service->index,
		.buffer = pkt->buffer,
		.port = port,
	};
	__u64 *run;

	__builtin_memcpy(key.client, pkt->source, 16);
	run = (__u64 *)rules.lookup(&key);
	return run ? *run : ~0ULL;
}

static __always_inline void lb_find_run(struct lb_packet *pkt)
{
	__u64 run = ~0ULL;

	pkt->run.first_line = pkt->service->first_line;
	pkt->run.slots = pkt->service->slots;
	if (!LB_WITH_RULES || likely(!(pkt->service->flags & LB_SERVICE_RULES)))
		return;
	if (LB_WITH_ANY_PORT)
		run = lb_rule_find(pkt, pkt->destination_port);
	if (run == ~0ULL)
		run = lb_rule_find(pkt, 0);
	if (run != ~0ULL)
		*(__u64 *)&pkt->run = run;
}

#endif
