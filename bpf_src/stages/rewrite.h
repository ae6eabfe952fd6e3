/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage: rewrite.  Addresses and ports (NAT), TTL, checksums.
 *
 * In:  pkt->backend, whose record holds the differences of the checksums, worked out when it was
 *      published.
 * Out: the packet as its receiver should see it; the MACs are the next stage's.
 */
#ifndef LB_REWRITE_H
#define LB_REWRITE_H

static __always_inline void lb_copy_address(void *to, const __be32 from[4])
{
	__builtin_memcpy(to, from, 16);
}

static __always_inline void lb_rewrite_port(__be16 *port, __be16 value)
{
	if (!LB_WITH_ANY_PORT || value)
		*port = value;
}

/* TCP or UDP header; @to_backend: destination port forward, source port back. */
static __always_inline int lb_rewrite_transport(struct lb_packet *pkt, int forward)
{
	struct lb_backend *backend = pkt->backend;
	__u16 difference = backend->sum_transport;

	if (!forward)
		difference = lb_sum_negate(difference);
	if (lb_is_tcp(pkt)) {
		struct lb_tcp *tcp = pkt->transport;

		if (unlikely((void *)(tcp + 1) > pkt->data_end))
			return LB_DROP_INTERNAL;
		tcp->checksum = lb_sum_update(tcp->checksum, difference);
		lb_rewrite_port(forward ? &tcp->destination : &tcp->source,
				forward ? backend->port : backend->vip_port);
	} else {
		struct lb_udp *udp = pkt->transport;
		__u16 checksum;

		if (unlikely((void *)(udp + 1) > pkt->data_end))
			return LB_DROP_INTERNAL;
		if (udp->checksum) { /* 0: the sender made none */
			checksum = lb_sum_update(udp->checksum, difference);
			udp->checksum = checksum ? checksum : 0xffff;
		}
		lb_rewrite_port(forward ? &udp->destination : &udp->source,
				forward ? backend->port : backend->vip_port);
	}
	return LB_CONTINUE;
}

static __always_inline int lb_rewrite_ipv4(struct lb_packet *pkt, int nat, int forward)
{
	struct lb_ipv4 *ip = pkt->data + sizeof(struct lb_ethernet);
	__u32 difference = LB_SUM_TTL_DECREMENT;

	if (unlikely((void *)(ip + 1) > pkt->data_end))
		return LB_DROP_INTERNAL;
	if (nat) {
		__u16 sum = pkt->backend->sum_address;

		difference += forward ? sum : lb_sum_negate(sum);
		if (forward)
			ip->destination = pkt->backend->address[3];
		else
			ip->source = pkt->backend->vip[3];
	}
	ip->ttl--;
	ip->checksum = lb_sum_update(ip->checksum, difference);
	return LB_CONTINUE;
}

static __always_inline int lb_rewrite_ipv6(struct lb_packet *pkt, int nat, int forward)
{
	struct lb_ipv6 *ip = pkt->data + sizeof(struct lb_ethernet);

	if (unlikely((void *)(ip + 1) > pkt->data_end))
		return LB_DROP_INTERNAL;
	if (nat) {
		if (forward)
			lb_copy_address(ip->destination, pkt->backend->address);
		else
			lb_copy_address(ip->source, pkt->backend->vip);
	}
	ip->hop_limit--;
	return LB_CONTINUE;
}

static __always_inline int lb_rewrite(struct lb_packet *pkt)
{
	int forward = !pkt->server;
	int nat = LB_WITH_NAT && !(LB_WITH_DSR && (pkt->backend->flags & LB_SERVICE_DSR));
	int verdict;

	if (LB_WITH_IPV6 && pkt->ipv6)
		verdict = lb_rewrite_ipv6(pkt, nat, forward);
	else
		verdict = lb_rewrite_ipv4(pkt, nat, forward);
	if (verdict == LB_CONTINUE && nat)
		verdict = lb_rewrite_transport(pkt, forward);
	return verdict;
}

#endif
