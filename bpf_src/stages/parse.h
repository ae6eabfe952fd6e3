/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage: parse.  From bytes to addresses, ports and flags.
 *
 * In:  pkt->data, pkt->data_end.
 * Out: the fields of `parse` in struct lb_packet.
 *
 * What is not IP goes to the kernel.  A packet that is IP but odd (malformed, a fragment, with
 * options) is not judged here, for it may not be ours: pkt->fault names what becomes of it should
 * its destination turn out to be a VIP.
 */
#ifndef LB_PARSE_H
#define LB_PARSE_H

static __always_inline void lb_parse_tcp(struct lb_packet *pkt, __u32 room)
{
	struct lb_tcp *tcp = pkt->transport;

	if ((void *)(tcp + 1) > pkt->data_end || room < sizeof(*tcp) || (tcp->offset >> 4) < 5 ||
	    (__u32)(tcp->offset >> 4) * 4 > room) {
		pkt->fault = LB_DROP_MALFORMED;
		return;
	}
	pkt->source_port = tcp->source;
	pkt->destination_port = tcp->destination;
	pkt->tcp_flags = tcp->flags;
}

static __always_inline void lb_parse_udp(struct lb_packet *pkt, __u32 room)
{
	struct lb_udp *udp = pkt->transport;

	if ((void *)(udp + 1) > pkt->data_end || room < sizeof(*udp) ||
	    lb_ntohs(udp->length) < sizeof(*udp) || lb_ntohs(udp->length) > room) {
		pkt->fault = LB_DROP_MALFORMED;
		return;
	}
	pkt->source_port = udp->source;
	pkt->destination_port = udp->destination;
}

/* @room: bytes behind the IP header, by that header. */
static __always_inline void lb_parse_transport(struct lb_packet *pkt, __u32 room)
{
	if (pkt->fault)
		return;
	if (pkt->protocol == LB_IPPROTO_TCP)
		lb_parse_tcp(pkt, room);
	else if (pkt->protocol == LB_IPPROTO_UDP)
		lb_parse_udp(pkt, room);
}

/*
 * Does the IP packet end within the frame?  Only who seems to end beyond it pays for the question
 * whether the frame has more buffers.
 */
static __always_inline int lb_parse_fits(struct xdp_md *ctx, struct lb_packet *pkt)
{
	if (LB_WITH_FRAGS && unlikely(pkt->length > pkt->frame - sizeof(struct lb_ethernet)))
		pkt->frame = lb_frame_length(ctx);
	return pkt->length <= pkt->frame - sizeof(struct lb_ethernet);
}

static __always_inline int lb_parse_ipv4(struct xdp_md *ctx, struct lb_packet *pkt)
{
	struct lb_ipv4 *ip = pkt->data + sizeof(struct lb_ethernet);

	if (unlikely((void *)(ip + 1) > pkt->data_end))
		return LB_TO_KERNEL;
	pkt->length = lb_ntohs(ip->length);
	pkt->protocol = ip->protocol;
	pkt->ttl = ip->ttl;
	pkt->source[0] = 0;
	pkt->source[1] = lb_mapped(ip->source);
	pkt->destination[0] = 0;
	pkt->destination[1] = lb_mapped(ip->destination);
	pkt->transport = ip + 1;
	if (unlikely(ip->version_ihl != 0x45))
		pkt->fault = ip->version_ihl > 0x45 && ip->version_ihl < 0x50 ? LB_DROP_OPTIONS :
										LB_DROP_MALFORMED;
	else if (unlikely(ip->fragment & lb_htons(LB_IP_FRAGMENT)))
		pkt->fault = LB_DROP_FRAGMENT;
	if (unlikely(pkt->length < sizeof(*ip) || !lb_parse_fits(ctx, pkt)))
		pkt->fault = LB_DROP_MALFORMED;
	lb_parse_transport(pkt, pkt->length - sizeof(*ip));
	return LB_CONTINUE;
}

static __always_inline int lb_parse_ipv6(struct xdp_md *ctx, struct lb_packet *pkt)
{
	struct lb_ipv6 *ip = pkt->data + sizeof(struct lb_ethernet);
	__u32 length;

	if (unlikely((void *)(ip + 1) > pkt->data_end))
		return LB_TO_KERNEL;
	length = lb_ntohs(ip->payload_length) + sizeof(*ip);
	pkt->ipv6 = 1;
	pkt->length = length;
	pkt->protocol = ip->next_header;
	pkt->ttl = ip->hop_limit;
	__builtin_memcpy(pkt->source, ip->source, 16);
	__builtin_memcpy(pkt->destination, ip->destination, 16);
	if (unlikely(lb_is_mapped(pkt->source) || lb_is_mapped(pkt->destination)))
		return LB_TO_KERNEL; /* in the tables that is IPv4; on the wire it is nobody's */
	pkt->transport = ip + 1;
	if (unlikely((*(__u8 *)ip >> 4) != 6 || length > 0xffff || !lb_parse_fits(ctx, pkt)))
		pkt->fault = LB_DROP_MALFORMED;
	else if (unlikely(pkt->protocol == LB_IPPROTO_FRAGMENT))
		pkt->fault = LB_DROP_FRAGMENT;
	else if (unlikely(LB_IS_EXTENSION(pkt->protocol)))
		pkt->fault = LB_DROP_OPTIONS;
	lb_parse_transport(pkt, length - sizeof(*ip));
	return LB_CONTINUE;
}

static __always_inline int lb_parse(struct xdp_md *ctx, struct lb_packet *pkt)
{
	struct lb_ethernet *eth = pkt->data;

	if (unlikely((void *)(eth + 1) > pkt->data_end))
		return LB_TO_KERNEL;
	if (likely(eth->type == lb_htons(LB_ETH_IP)))
		return lb_parse_ipv4(ctx, pkt);
	if (LB_WITH_IPV6 && eth->type == lb_htons(LB_ETH_IPV6))
		return lb_parse_ipv6(ctx, pkt);
	return LB_TO_KERNEL;
}

#endif
