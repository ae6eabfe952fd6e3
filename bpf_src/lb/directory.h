/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The directory: who is this address and port?
 *
 * A perfect hash table by hash and displace (Belazzougui, Botelho, Dietzfelbinger: "Hash,
 * displace, and compress", ESA 2009): a first hash chooses a group, the group's displacement makes
 * the second hash free of collisions.  Python finds the displacements when it publishes; a packet
 * pays for two array look-ups and one comparison, whether it finds something or not.  The hash
 * needs no secret: strangers choose what is looked up, never what is in the table.
 */
#ifndef LB_DIRECTORY_H
#define LB_DIRECTORY_H

static __always_inline __u64 lb_directory_hash(__u64 high, __u64 low, __u32 port, __u32 protocol)
{
	__u64 hash = (high ^ ((__u64)port << 16 | protocol)) * 0x9E3779B97F4A7C15ULL;

	hash = (hash ^ (hash >> 29) ^ low) * 0xBF58476D1CE4E5B9ULL;
	return hash ^ (hash >> 32);
}

static __always_inline struct lb_service *lb_directory_find(__u32 buffer, const __u64 address[2],
							    __be16 port, __u8 protocol)
{
	__u64 hash = lb_directory_hash(address[0], address[1], port, protocol);
	__u32 group = buffer << LB_GROUP_BITS | (__u32)(hash >> (64 - LB_GROUP_BITS));
	__u64 *displacement = displacements.lookup(&group);
	struct lb_service *entry;
	const __u64 *words;
	__u32 place;

	if (unlikely(!displacement))
		return NULL;
	hash = (hash ^ *displacement) * 0x94D049BB133111EBULL;
	place = buffer << LB_DIRECTORY_BITS | (__u32)(hash >> (64 - LB_DIRECTORY_BITS));
	entry = services.lookup(&place);
	if (unlikely(!entry))
		return NULL;
	words = (const __u64 *)entry->address;
	if (words[1] != address[1] || words[0] != address[0] || entry->port != port ||
	    entry->protocol != protocol || !entry->role)
		return NULL;
	return entry;
}

#endif
