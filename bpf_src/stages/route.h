/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage: route.  From a destination to its next hop.
 *
 * A packet forward: the back-end's record names the hop.  A reply: the connection names the hop of
 * the client, found by longest prefix when the connection was made, and again when the routing
 * table has changed since.  A client that the routing table cannot place (on-link, and its MAC not
 * known to the kernel; or its route leads out by a NIC of somebody else's) is answered where its
 * packets come from: that way needs no ARP.
 *
 * In:  pkt->backend, pkt->connection.
 * Out: pkt->out_nic, and the frame's MACs.
 */
#ifndef LB_ROUTE_H
#define LB_ROUTE_H

static __always_inline void lb_set_macs(struct lb_packet *pkt, const void *macs)
{
	struct lb_ethernet *eth = pkt->data;

	/* destination and source lie behind each other in frame and record: 12 bytes */
	*(__u64 *)eth->destination = *(const __u64 *)macs;
	*(__u32 *)(eth->destination + 8) = *(const __u32 *)(macs + 8);
}

static __always_inline int lb_send_by(struct lb_packet *pkt, __u32 index)
{
	struct lb_next_hop *hop = next_hops.lookup(&index);

	if (unlikely(!hop))
		return LB_DROP_INTERNAL;
	if (unlikely(hop->state != LB_NEXT_HOP_RESOLVED)) {
		if (hop->state == LB_NEXT_HOP_NO_ROUTE)
			return LB_DROP_NO_ROUTE;
		return hop->state == LB_NEXT_HOP_NOT_ATTACHED ? LB_DROP_NOT_ATTACHED :
								LB_DROP_NO_NEIGHBOR;
	}
	if (unlikely(pkt->length > hop->mtu)) {
		pkt->mtu = hop->mtu;
		return LB_TOO_BIG_REPLY;
	}
	pkt->out_nic = hop->nic;
	lb_set_macs(pkt, hop->destination_mac);
	return LB_CONTINUE;
}

/* Back to where the first packet of the connection came from. */
static __always_inline int lb_send_back(struct lb_packet *pkt)
{
	struct lb_ethernet *eth = pkt->data;
	__u32 index = pkt->connection_index;
	struct lb_connection_detail *detail = details.lookup(&index);

	if (unlikely(!detail))
		return LB_DROP_INTERNAL;
	pkt->out_nic = detail->last_hop_nic;
	*(__u32 *)eth->destination = *(__u32 *)detail->last_hop;
	*(__u16 *)(eth->destination + 4) = *(__u16 *)(detail->last_hop + 4);
	*(__u32 *)eth->source = *(__u32 *)detail->last_hop_source;
	*(__u16 *)(eth->source + 4) = *(__u16 *)(detail->last_hop_source + 4);
	return LB_CONTINUE;
}

static __always_inline int lb_route_reply(struct lb_packet *pkt)
{
	struct lb_connection *entry = pkt->connection;
	int verdict;

	if (unlikely(!entry)) { /* untracked; the route to the switch itself stays unresolved */
		verdict = lb_send_by(pkt, lb_route_lookup(pkt, pkt->destination));
		return verdict == LB_CONTINUE ? LB_CONTINUE : LB_TO_KERNEL;
	}
	if (unlikely(entry->route_version != (__u8)pkt->control->route_version)) {
		entry->next_hop = lb_route_lookup(pkt, pkt->destination);
		entry->route_version = pkt->control->route_version;
	}
	verdict = lb_send_by(pkt, entry->next_hop);
	if (unlikely(verdict == LB_DROP_NO_NEIGHBOR || verdict == LB_DROP_NOT_ATTACHED))
		return lb_send_back(pkt);
	return verdict;
}

static __always_inline int lb_route(struct lb_packet *pkt)
{
	if (unlikely(pkt->ttl <= 1))
		return LB_DROP_TTL_EXPIRED;
	if (pkt->server)
		return lb_route_reply(pkt);
	return lb_send_by(pkt, pkt->backend->next_hop);
}

#endif
