/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The fingerprint of a client: 64 bits that stand for its address, its port and the protocol.
 *
 * Two strongly universal multilinear hashes with secret keys (Lemire, Kaser: "Strongly universal
 * string hashing is fast", 2014): for any two clients, however they were chosen, the chance to be
 * alike is 2^-63; see docs/decisions.
 */
#ifndef LB_FINGERPRINT_H
#define LB_FINGERPRINT_H

static __always_inline __u64 lb_hash_address(const struct lb_hash_keys *keys,
					     const struct lb_packet *pkt, const __u64 client[2])
{
	const __u32 *words = (const __u32 *)client;
	__u64 sum;

	if (pkt->ipv6)
		sum = keys->base + keys->address[0] * words[0] + keys->address[1] * words[1] +
		      keys->address[2] * words[2];
	else
		sum = keys->base_mapped;
	return sum + keys->address[3] * words[3];
}

static __always_inline __u32 lb_hash(const struct lb_hash_keys *keys, const struct lb_packet *pkt,
				     const __u64 client[2], __u32 ports)
{
	__u64 sum = lb_hash_address(keys, pkt, client) + keys->ports * ports;
	if (!lb_is_tcp(pkt))
		sum += keys->udp;
	return sum >> 32;
}

static __always_inline __u64 lb_fingerprint(const struct lb_packet *pkt)
{
	const struct lb_service *side = pkt->service ? pkt->service : pkt->server;
	const __u64 *client = pkt->service ? pkt->source : pkt->destination;
	__be16 client_port = pkt->service ? pkt->source_port : pkt->destination_port;
	__be16 service_port = pkt->service ? pkt->destination_port : pkt->source_port;
	__u32 ports = client_port;
	__u64 key;

	if (LB_WITH_ANY_PORT && (side->flags & LB_SERVICE_ANY_PORT))
		ports |= (__u32)service_port << 16;
	key = (__u64)lb_hash(&pkt->control->hash[0], pkt, client, ports) << 32 |
	      lb_hash(&pkt->control->hash[1], pkt, client, ports);
	/* a bijection: no two fingerprints become one, but neighbors do not stay neighbors */
	key = (key ^ key >> 32) * 0xD6E8FEB86659FD93ULL;
	key ^= key >> 32;
	return key < LB_KEY_FIRST ? key + LB_KEY_FIRST : key;
}

/* The two sets that may hold a client; a traced program has a copy of just these: see trace.h. */
static __always_inline __u32 lb_first_set(__u64 key)
{
	return LB_WITH_TRACE ? 0 : key & (LB_SETS - 1);
}

static __always_inline __u32 lb_second_set(__u64 key)
{
	return LB_WITH_TRACE ? 1 : (key >> 32) & (LB_SETS - 1);
}

#endif
