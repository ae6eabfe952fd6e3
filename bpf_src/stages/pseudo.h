/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage: pseudo.  Between the programs on the switch and the NICs, by a pseudo interface.
 *
 * In:  a packet that is nobody's but the kernel's.
 * Out: pkt->out_nic and the frame's MACs.
 *
 * What comes by the switch's end of a pseudo interface is from a program, and leaves by the routing
 * table.  What is for an address of a pseudo interface goes there.  Neither costs a hop: to those
 * who talk to it the program is where its address is.
 */
#ifndef LB_PSEUDO_H
#define LB_PSEUDO_H

static __always_inline int lb_is_pseudo(__u32 nic)
{
	return LB_WITH_PSEUDO && nic >= LB_PSEUDO_FIRST;
}

/*
 * Neighbor discovery (RFC 4861) is of one link: the kernel answers where it was asked, with the MAC
 * of that NIC.  At the pseudo interface it would tell another one.
 */
static __always_inline int lb_is_discovery(const struct lb_packet *pkt)
{
	struct lb_ipv6 *ip = pkt->data + sizeof(struct lb_ethernet);
	struct lb_icmp *icmp = (void *)(ip + 1);

	if (!LB_WITH_IPV6 || !pkt->ipv6 || pkt->protocol != LB_IPPROTO_ICMPV6)
		return 0;
	return (void *)(icmp + 1) <= pkt->data_end && icmp->type >= LB_ICMPV6_DISCOVERY_FIRST &&
	       icmp->type <= LB_ICMPV6_DISCOVERY_LAST;
}

static __always_inline int lb_pseudo(struct lb_packet *pkt)
{
	int delivered = LB_FROM_PSEUDO, verdict;
	struct lb_service *address;
	__u32 hop;

	if (!pkt->control) /* no IP packet, or not for this NIC */
		return LB_TO_KERNEL;
	if (lb_is_pseudo(pkt->in_nic)) {
		hop = lb_route_lookup(pkt, pkt->destination);
	} else {
		address = lb_directory_find(pkt->buffer, pkt->destination, 0, 0);
		if (!address || !(address->flags & LB_SERVICE_PSEUDO) || lb_is_discovery(pkt))
			return LB_TO_KERNEL;
		delivered = LB_TO_PSEUDO;
		hop = address->index;
	}
	if (pkt->fault == LB_DROP_MALFORMED)
		return LB_DROP_MALFORMED;
	if (!hop)
		return LB_DROP_NO_ROUTE;
	verdict = lb_send_by(pkt, hop);
	return verdict == LB_CONTINUE ? delivered : verdict;
}

#endif
