/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage: too big.  Tell the sender what size fits (RFC 792, RFC 4443, RFC 8201).
 *
 * In:  an intact packet that is larger than the MTU of its next hop, pkt->mtu.
 * Out: the ICMP message, from the VIP to the client, quoting the start of the packet.  A reply of a
 *      back-end is left to the kernel, which has an address of its own to answer from.
 */
#ifndef LB_TOO_BIG_H
#define LB_TOO_BIG_H

#define LB_QUOTED_PAYLOAD 8

struct lb_too_big_ipv4 {
	struct lb_ethernet eth;
	struct lb_ipv4 ip;
	struct lb_icmp icmp;
	struct lb_ipv4 quoted;
	__u8 payload[LB_QUOTED_PAYLOAD];
} __attribute__((packed, aligned(2)));

struct lb_too_big_ipv6 {
	struct lb_ethernet eth;
	struct lb_ipv6 ip;
	struct lb_icmp icmp;
	struct lb_ipv6 quoted;
	__u8 payload[LB_QUOTED_PAYLOAD];
} __attribute__((packed, aligned(2)));

/* Room for the new headers in front of the old ones, and nothing behind the quotation. */
static __always_inline int lb_too_big_resize(struct xdp_md *ctx, struct lb_packet *pkt, int headers,
					     int size)
{
	if (bpf_xdp_adjust_head(ctx, -headers) ||
	    bpf_xdp_adjust_tail(ctx, size - headers - (int)pkt->frame))
		return LB_DROP_INTERNAL;
	return LB_CONTINUE;
}

static __always_inline int lb_too_big_reply_ipv4(struct xdp_md *ctx, struct lb_packet *pkt)
{
	struct lb_too_big_ipv4 *new;

	if (lb_too_big_resize(ctx, pkt, sizeof(struct lb_ipv4) + sizeof(struct lb_icmp),
			      sizeof(*new)) != LB_CONTINUE)
		return LB_DROP_INTERNAL;
	new = (void *)(long)ctx->data;
	if ((void *)(new + 1) > (void *)(long)ctx->data_end)
		return LB_DROP_INTERNAL;
	__builtin_memcpy(&new->eth, (void *)&new->quoted - sizeof(new->eth), sizeof(new->eth));
	lb_swap_macs(&new->eth);
	new->ip.tos = 0;
	new->ip.protocol = LB_IPPROTO_ICMP;
	new->ip.source = new->quoted.source;
	new->ip.destination = new->quoted.destination;
	lb_turn_ipv4(&new->ip, sizeof(*new) - sizeof(new->eth));
	new->icmp.type = LB_ICMP_UNREACHABLE;
	new->icmp.code = LB_ICMP_FRAGMENTATION_NEEDED;
	new->icmp.checksum = 0;
	new->icmp.rest = lb_htonl(pkt->mtu);
	new->icmp.checksum = ~lb_sum_fold(lb_sum_words(
		&new->icmp, (sizeof(new->icmp) + sizeof(new->quoted) + LB_QUOTED_PAYLOAD) / 2));
	return LB_TOO_BIG_REPLY;
}

static __always_inline int lb_too_big_reply_ipv6(struct xdp_md *ctx, struct lb_packet *pkt)
{
	const int payload = sizeof(struct lb_icmp) + sizeof(struct lb_ipv6) + LB_QUOTED_PAYLOAD;
	struct lb_too_big_ipv6 *new;
	__u64 sum;

	if (lb_too_big_resize(ctx, pkt, sizeof(struct lb_ipv6) + sizeof(struct lb_icmp),
			      sizeof(*new)) != LB_CONTINUE)
		return LB_DROP_INTERNAL;
	new = (void *)(long)ctx->data;
	if ((void *)(new + 1) > (void *)(long)ctx->data_end)
		return LB_DROP_INTERNAL;
	__builtin_memcpy(&new->eth, (void *)&new->quoted - sizeof(new->eth), sizeof(new->eth));
	lb_swap_macs(&new->eth);
	new->ip.version_class_flow = lb_htonl(0x60000000);
	new->ip.next_header = LB_IPPROTO_ICMPV6;
	__builtin_memcpy(new->ip.source, new->quoted.source, 32);
	lb_turn_ipv6(&new->ip, payload);
	new->icmp.type = LB_ICMPV6_TOO_BIG;
	new->icmp.code = 0;
	new->icmp.checksum = 0;
	new->icmp.rest = lb_htonl(pkt->mtu);
	sum = lb_sum_words(new->ip.source, 16) + lb_htons(payload) + lb_htons(LB_IPPROTO_ICMPV6);
	new->icmp.checksum = ~lb_sum_fold(sum + lb_sum_words(&new->icmp, payload / 2));
	return LB_TOO_BIG_REPLY;
}

static __always_inline int lb_too_big(struct xdp_md *ctx, struct lb_packet *pkt)
{
	struct lb_ipv4 *ip = pkt->data + sizeof(struct lb_ethernet);

	if ((void *)(ip + 1) > pkt->data_end)
		return LB_DROP_INTERNAL;
	if (!pkt->ipv6 && !(ip->fragment & lb_htons(LB_IP_DONT_FRAGMENT)))
		return LB_DROP_TOO_BIG;
	if (pkt->server)
		return LB_TO_KERNEL;
	if (LB_WITH_IPV6 && pkt->ipv6)
		return lb_too_big_reply_ipv6(ctx, pkt);
	return lb_too_big_reply_ipv4(ctx, pkt);
}

#endif
