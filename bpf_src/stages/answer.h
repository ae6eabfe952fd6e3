/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the answers have in common: the frame turned round, sent back by the NIC it came from.
 */
#ifndef LB_ANSWER_H
#define LB_ANSWER_H

static __always_inline void lb_swap_macs(struct lb_ethernet *eth)
{
	__u8 mac[6];

	__builtin_memcpy(mac, eth->destination, 6);
	__builtin_memcpy(eth->destination, eth->source, 6);
	__builtin_memcpy(eth->source, mac, 6);
}

/* The sum of @words 16-bit words. */
static __always_inline __u64 lb_sum_words(const void *data, int words)
{
	const __u16 *word = data;
	__u64 sum = 0;
	int i;

#pragma unroll
	for (i = 0; i < words; i++)
		sum += word[i];
	return sum;
}

/* A new IPv4 header for an answer of @length bytes: turned round, a fresh TTL, a whole checksum. */
static __always_inline void lb_turn_ipv4(struct lb_ipv4 *ip, __u16 length)
{
	__be32 source = ip->source;

	ip->version_ihl = 0x45;
	ip->length = lb_htons(length);
	ip->id = 0;
	ip->fragment = lb_htons(LB_IP_DONT_FRAGMENT);
	ip->ttl = LB_DEFAULT_TTL;
	ip->source = ip->destination;
	ip->destination = source;
	ip->checksum = 0;
	ip->checksum = ~lb_sum_fold(lb_sum_words(ip, sizeof(*ip) / 2));
}

static __always_inline void lb_turn_ipv6(struct lb_ipv6 *ip, __u16 payload)
{
	__be32 source[4];

	__builtin_memcpy(source, ip->source, 16);
	__builtin_memcpy(ip->source, ip->destination, 16);
	__builtin_memcpy(ip->destination, source, 16);
	ip->payload_length = lb_htons(payload);
	ip->hop_limit = LB_DEFAULT_TTL;
}

#endif
