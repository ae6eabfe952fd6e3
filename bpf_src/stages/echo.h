/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage: echo.  A VIP answers ping (RFC 792, RFC 4443), so that people can see it is there.
 *
 * In:  an ICMP or ICMPv6 packet for the address of a VIP.
 * Out: the echo reply in its place.  Any other ICMP (neighbour discovery above all) is the kernel's.
 */
#ifndef LB_ECHO_H
#define LB_ECHO_H

static __always_inline int lb_echo_ipv4(struct lb_packet *pkt)
{
	struct lb_ipv4 *ip = pkt->data + sizeof(struct lb_ethernet);
	struct lb_icmp *icmp = (void *)(ip + 1);

	if ((void *)(icmp + 1) > pkt->data_end || pkt->length < sizeof(*ip) + sizeof(*icmp))
		return LB_DROP_MALFORMED;
	if (icmp->type != LB_ICMP_ECHO_REQUEST || icmp->code)
		return LB_TO_KERNEL;
	icmp->type = LB_ICMP_ECHO_REPLY;
	icmp->checksum = lb_sum_update(icmp->checksum, lb_htons(0xf7ff));
	lb_turn_ipv4(ip, pkt->length);
	return LB_ECHO_REPLY;
}

static __always_inline int lb_echo_ipv6(struct lb_packet *pkt)
{
	struct lb_ipv6 *ip = pkt->data + sizeof(struct lb_ethernet);
	struct lb_icmp *icmp = (void *)(ip + 1);

	if ((void *)(icmp + 1) > pkt->data_end || pkt->length < sizeof(*ip) + sizeof(*icmp))
		return LB_DROP_MALFORMED;
	if (icmp->type != LB_ICMPV6_ECHO_REQUEST || icmp->code)
		return LB_TO_KERNEL;
	icmp->type = LB_ICMPV6_ECHO_REPLY;
	icmp->checksum = lb_sum_update(icmp->checksum, lb_htons(0x0100));
	lb_turn_ipv6(ip, pkt->length - sizeof(*ip));
	return LB_ECHO_REPLY;
}

static __always_inline int lb_echo(struct lb_packet *pkt)
{
	int verdict;

	if (LB_WITH_IPV6 && pkt->ipv6)
		verdict = lb_echo_ipv6(pkt);
	else
		verdict = lb_echo_ipv4(pkt);
	if (verdict == LB_ECHO_REPLY)
		lb_swap_macs(pkt->data);
	return verdict;
}

#endif
