/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The headers on the wire: Ethernet, IPv4, IPv6, TCP, UDP, ICMP.  Our own, so that no header of
 * the system is needed to compile.  All fields are in network order, and naturally aligned: a packed
 * struct would be read byte by byte.
 */
#ifndef LB_NET_H
#define LB_NET_H

#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif
#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)
/* Keeps the compiler from merging or moving memory accesses across this point. */
#define lb_barrier() asm volatile("" ::: "memory")

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define lb_htons(x) ((__u16)__builtin_bswap16((__u16)(x)))
#define lb_htonl(x) ((__u32)__builtin_bswap32((__u32)(x)))
#else
#define lb_htons(x) ((__u16)(x))
#define lb_htonl(x) ((__u32)(x))
#endif
#define lb_ntohs lb_htons
#define lb_ntohl lb_htonl

#define LB_ETH_IP 0x0800
#define LB_ETH_IPV6 0x86dd
#define LB_IPPROTO_ICMP 1
#define LB_IPPROTO_TCP 6
#define LB_IPPROTO_UDP 17
#define LB_IPPROTO_FRAGMENT 44
#define LB_IPPROTO_ICMPV6 58
/* Hop-by-hop, routing, authentication, destination options, mobility: headers before TCP or UDP. */
#define LB_IS_EXTENSION(p) ((p) == 0 || (p) == 43 || (p) == 51 || (p) == 60 || (p) == 135)
#define LB_IP_FRAGMENT 0x3fff /* more fragments, or an offset */
#define LB_IP_DONT_FRAGMENT 0x4000
#define LB_DEFAULT_TTL 64

struct lb_ethernet {
	__u8 destination[6];
	__u8 source[6];
	__be16 type;
};

struct lb_ipv4 {
	__u8 version_ihl;
	__u8 tos;
	__be16 length;
	__be16 id;
	__be16 fragment;
	__u8 ttl;
	__u8 protocol;
	__u16 checksum;
	__be32 source;
	__be32 destination;
};

struct lb_ipv6 {
	__be32 version_class_flow;
	__be16 payload_length;
	__u8 next_header;
	__u8 hop_limit;
	__be32 source[4];
	__be32 destination[4];
};

enum lb_tcp_flag {
	LB_TCP_FIN = 1,
	LB_TCP_SYN = 2,
	LB_TCP_RST = 4,
	LB_TCP_ACK = 16,
};

struct lb_tcp {
	__be16 source;
	__be16 destination;
	__be32 sequence;
	__be32 acknowledgement;
	__u8 offset; /* upper four bits: header length in words */
	__u8 flags;
	__be16 window;
	__u16 checksum;
	__be16 urgent;
};

struct lb_udp {
	__be16 source;
	__be16 destination;
	__be16 length;
	__u16 checksum;
};

enum lb_icmp_type {
	LB_ICMP_ECHO_REPLY = 0,
	LB_ICMP_UNREACHABLE = 3,
	LB_ICMP_ECHO_REQUEST = 8,
	LB_ICMP_TIME_EXCEEDED = 11,
	LB_ICMP_PARAMETER_PROBLEM = 12,
	LB_ICMPV6_TOO_BIG = 2,
	LB_ICMPV6_LAST_ERROR = 127,
	LB_ICMPV6_ECHO_REQUEST = 128,
	LB_ICMPV6_ECHO_REPLY = 129,
	LB_ICMPV6_DISCOVERY_FIRST = 133, /* router solicitation; the last is redirect */
	LB_ICMPV6_DISCOVERY_LAST = 137,
};

#define LB_ICMP_FRAGMENTATION_NEEDED 4 /* a code of LB_ICMP_UNREACHABLE */

struct lb_icmp {
	__u8 type;
	__u8 code;
	__u16 checksum;
	__be32 rest;
};

/* What an ICMP error quotes for certain behind the IP header: RFC 792 promises 8 bytes. */
struct lb_quoted_ports {
	__be16 source;
	__be16 destination;
	__be32 rest;
};

#endif
