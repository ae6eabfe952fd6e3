/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage: reset.  The TCP reset that answers a packet without a service (RFC 9293, 3.10.7.1).
 *
 * In:  a TCP packet, intact.
 * Out: the same frame, turned round and cut to a bare header; the verdict that asked for it.
 *
 * A reset is never answered by a reset.
 */
#ifndef LB_RESET_H
#define LB_RESET_H

/* The header itself; its checksum still lacks the addresses. */
static __always_inline void lb_reset_header(struct lb_tcp *tcp, __u32 room)
{
	__be16 port = tcp->source;
	__u32 taken = room - (tcp->offset >> 4) * 4;
	__be32 acknowledgement = tcp->acknowledgement;

	taken += !!(tcp->flags & LB_TCP_SYN) + !!(tcp->flags & LB_TCP_FIN);
	tcp->source = tcp->destination;
	tcp->destination = port;
	if (tcp->flags & LB_TCP_ACK) {
		tcp->sequence = acknowledgement;
		tcp->acknowledgement = 0;
		tcp->flags = LB_TCP_RST;
	} else {
		tcp->acknowledgement = lb_htonl(lb_ntohl(tcp->sequence) + taken);
		tcp->sequence = 0;
		tcp->flags = LB_TCP_RST | LB_TCP_ACK;
	}
	tcp->offset = sizeof(*tcp) / 4 << 4;
	tcp->window = 0;
	tcp->urgent = 0;
	tcp->checksum = 0;
}

static __always_inline void lb_reset_checksum(struct lb_tcp *tcp, const void *addresses, int words)
{
	__u64 sum = lb_sum_words(addresses, words) + lb_sum_words(tcp, sizeof(*tcp) / 2);

	sum += lb_htons(LB_IPPROTO_TCP) + lb_htons(sizeof(*tcp));
	tcp->checksum = ~lb_sum_fold(sum);
}

static __always_inline int lb_reset_ipv4(struct lb_packet *pkt)
{
	struct lb_ipv4 *ip = pkt->data + sizeof(struct lb_ethernet);
	struct lb_tcp *tcp = (void *)(ip + 1);

	if ((void *)(tcp + 1) > pkt->data_end)
		return LB_DROP_INTERNAL;
	lb_reset_header(tcp, pkt->length - sizeof(*ip));
	lb_turn_ipv4(ip, sizeof(*ip) + sizeof(*tcp));
	lb_reset_checksum(tcp, &ip->source, 4);
	return LB_RESET;
}

static __always_inline int lb_reset_ipv6(struct lb_packet *pkt)
{
	struct lb_ipv6 *ip = pkt->data + sizeof(struct lb_ethernet);
	struct lb_tcp *tcp = (void *)(ip + 1);

	if ((void *)(tcp + 1) > pkt->data_end)
		return LB_DROP_INTERNAL;
	lb_reset_header(tcp, pkt->length - sizeof(*ip));
	lb_turn_ipv6(ip, sizeof(*tcp));
	lb_reset_checksum(tcp, ip->source, 16);
	return LB_RESET;
}

static __always_inline int lb_reset(struct xdp_md *ctx, struct lb_packet *pkt, int why)
{
	__u32 size = sizeof(struct lb_ethernet) + sizeof(struct lb_tcp) +
		     (pkt->ipv6 ? sizeof(struct lb_ipv6) : sizeof(struct lb_ipv4));
	int verdict;

	if (pkt->tcp_flags & LB_TCP_RST)
		return LB_DROP_UNANSWERABLE;
	if (LB_WITH_IPV6 && pkt->ipv6)
		verdict = lb_reset_ipv6(pkt);
	else
		verdict = lb_reset_ipv4(pkt);
	if (verdict != LB_RESET)
		return verdict;
	lb_swap_macs(pkt->data);
	if (pkt->frame > size && bpf_xdp_adjust_tail(ctx, (int)size - (int)pkt->frame))
		return LB_DROP_INTERNAL;
	return why;
}

#endif
