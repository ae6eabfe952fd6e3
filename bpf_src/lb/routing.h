/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The routing table, looked up: destination to the index of its next hop.
 */
#ifndef LB_ROUTING_H
#define LB_ROUTING_H

/* 0: no route, or one whose next hop has no MAC yet. */
static __always_inline __u16 lb_route_lookup(const struct lb_packet *pkt, const __u64 address[2])
{
	struct lb_route_key key = { .prefix_length = 160, .family = pkt->ipv6 ? 6 : 4 };
	__u32 *hop;

	__builtin_memcpy(key.address, address, 16);
	hop = routes.lookup(&key);
	return hop ? *hop : 0;
}

#endif
