/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The Internet checksum (RFC 1071), and how to change it in place (RFC 1624, equation 3).
 */
#ifndef LB_CHECKSUM_H
#define LB_CHECKSUM_H

static __always_inline __u16 lb_sum_fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/*
 * The checksum after words whose difference (one's complement, new minus old) is @difference have
 * changed.  @difference may be several sums added up, but less than 2^24.
 */
static __always_inline __u16 lb_sum_update(__u16 checksum, __u32 difference)
{
	__u32 sum = (__u16)~checksum + difference;

	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* The difference that undoes @difference. */
static __always_inline __u16 lb_sum_negate(__u16 difference)
{
	return ~difference;
}

/* The change of the word TTL/protocol when the TTL goes down by one. */
#define LB_SUM_TTL_DECREMENT lb_htons(0xfeff)

#endif
