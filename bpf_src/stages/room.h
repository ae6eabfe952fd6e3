/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Room for a new connection: which entry of the client's two sets it may take.
 *
 * Free entries first, then expired ones, then closed ones, then the half-open one that has waited
 * longest: a flood of SYNs never evicts an established connection.
 */
#ifndef LB_ROOM_H
#define LB_ROOM_H

enum lb_room {
	LB_ROOM_NONE = 0,
	LB_ROOM_HALF_OPEN = 1 << 16, /* plus its age */
	LB_ROOM_CLOSED = 1 << 17,    /* plus its age */
	LB_ROOM_EXPIRED = 1 << 18,
	LB_ROOM_FREE = 1 << 19,
};

static __always_inline __u32 lb_room_of(const struct lb_packet *pkt, struct lb_connection *entry,
					__u64 key)
{
	if (key == LB_KEY_FREE)
		return LB_ROOM_FREE;
	if (key == LB_KEY_LOCKED)
		return LB_ROOM_NONE;
	if (lb_expired(pkt, entry))
		return LB_ROOM_EXPIRED;
	if ((entry->state & LB_STATE_MASK) == LB_STATE_CLOSED)
		return LB_ROOM_CLOSED + lb_age(pkt, entry);
	if ((entry->state & LB_STATE_MASK) == LB_STATE_HALF_OPEN)
		return LB_ROOM_HALF_OPEN + lb_age(pkt, entry);
	return LB_ROOM_NONE;
}

/*
 * The better of what @best is so far and the entries of one set.
 *
 * The verifier must not tell one kind of room from another, or it follows each of them, of eight
 * entries, through all that comes behind.  So a zero that it does not know is added, and the choice
 * is made by masks, without a branch.
 */
static __always_inline __u64 lb_room_in(struct lb_packet *pkt, __u32 index, __u64 best)
{
	struct lb_connection_set *set = connections.lookup(&index);
	__u64 zero = pkt->control->zero;
	int i;

	if (unlikely(!set))
		return best;
#pragma unroll
	for (i = 0; i < LB_WAYS; i++) {
		__u64 key = *(volatile __u64 *)&set->way[i].key;
		__u64 room = lb_room_of(pkt, &set->way[i], key) + zero;
		__u64 better = (__s64)(best - room) >> 63; /* all bits, or none */

		asm volatile("" : "+r"(better)); /* or the compiler makes it a branch again */
		best ^= (best ^ room) & better;
		pkt->room_key ^= (pkt->room_key ^ key) & better;
		pkt->connection_index ^= (pkt->connection_index ^ (index * LB_WAYS + i)) & better;
	}
	return best;
}

/* A free entry of one set, which needs no comparison: most new connections find one. */
static __always_inline int lb_free_in(struct lb_packet *pkt, __u32 index)
{
	struct lb_connection_set *set = connections.lookup(&index);
	int i;

	if (unlikely(!set))
		return 0;
#pragma unroll
	for (i = 0; i < LB_WAYS; i++) {
		if (*(volatile __u64 *)&set->way[i].key != LB_KEY_FREE)
			continue;
		pkt->room_key = LB_KEY_FREE;
		pkt->connection_index = index * LB_WAYS + i;
		return 1;
	}
	return 0;
}

/* The entry of that index.  One place for all: the verifier need not tell four ways apart. */
static __always_inline struct lb_connection *lb_entry_at(__u32 index)
{
	__u32 place = index / LB_WAYS;
	struct lb_connection_set *set = connections.lookup(&place);

	if (!set)
		return NULL;
	asm volatile("" : "+r"(set)); /* or a compiler adds to what may still be NULL */
	return &set->way[index % LB_WAYS];
}

/* Finds pkt->connection, the entry to write; 0 if both sets are full of live connections. */
static __always_inline int lb_make_room(struct lb_packet *pkt)
{
	__u64 best;

	if (pkt->connection) {
		pkt->room_key = pkt->key;
	} else if (!lb_free_in(pkt, lb_first_set(pkt->key))) {
		best = lb_room_in(pkt, lb_first_set(pkt->key), LB_ROOM_NONE);
		if (best < LB_ROOM_EXPIRED)
			best = lb_room_in(pkt, lb_second_set(pkt->key), best);
		if (best == LB_ROOM_NONE)
			return 0;
	}
	pkt->connection = lb_entry_at(pkt->connection_index);
	return !!pkt->connection;
}

#endif
