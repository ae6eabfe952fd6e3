/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage: select.  A new connection: its back-end from the active buffer, and its entry.
 *
 * In:  pkt->service, and pkt->connection where a SYN starts an old connection over.
 * Out: pkt->backend, pkt->connection (NULL when the table has no room: it goes by its slot alone).
 */
#ifndef LB_SELECT_H
#define LB_SELECT_H

/* With shared servers each pick is compared with the client's others: the verifier counts that. */
#define LB_PICKS (LB_WITH_SHARED ? 4 : 6)

static __always_inline __u16 lb_slot(struct lb_packet *pkt, __u32 hash)
{
	__u32 slot = ((__u64)hash * pkt->run.slots) >> 32;
	__u32 line = pkt->buffer * LB_SLOT_LINES + pkt->run.first_line + slot / LB_SLOTS_PER_LINE;
	struct lb_slots *run = slots.lookup(&line);

	pkt->slot = slot;
	return run ? run->backend[slot % LB_SLOTS_PER_LINE] : LB_BACKENDS;
}

/* What chooses the slot: the connection, or with sh the client's address whatever its port. */
static __always_inline __u32 lb_slot_hash(const struct lb_packet *pkt)
{
	__u64 hash;

	if (likely(!(pkt->service->flags & LB_SERVICE_BY_ADDRESS)))
		return pkt->key >> 32;
	hash = lb_hash_address(&pkt->control->hash[0], pkt, pkt->source) >> 32;
	return (hash * 0xD6E8FEB86659FD93ULL) >> 32;
}

/*
 * Live connections of the client's address and port, by other services, to servers that they share:
 * should one of them be to the server that is picked, it could not tell the two apart.
 */
static __always_inline void lb_find_rivals(struct lb_packet *pkt)
{
	int i;

	for (i = 0; i < 2 * LB_WAYS; i++) {
		__u32 index = i < LB_WAYS ? lb_first_set(pkt->key) : lb_second_set(pkt->key);
		struct lb_connection_set *set = connections.lookup(&index);
		struct lb_connection *entry;
		struct lb_backend *other;

		if (!set)
			return;
		entry = &set->way[i % LB_WAYS];
		if (entry->key != pkt->key || entry == pkt->connection || lb_expired(pkt, entry))
			continue;
		other = lb_backend_at(pkt, entry->backend);
		if (other && other->shared)
			pkt->rivals = pkt->rivals << 16 | other->shared;
	}
}

/* Is one of the rivals to that server?  Where it is, 16 bits of @lanes are zero. */
static __always_inline int lb_clashes(const struct lb_packet *pkt, __u16 shared)
{
	__u64 lanes = pkt->rivals ^ shared * 0x0001000100010001ULL;

	return !!((lanes - 0x0001000100010001ULL) & ~lanes & 0x8000800080008000ULL);
}

/*
 * The back-end of the packet's slot; of another slot where a retry should find another server, or
 * where the server would not be able to tell two connections of one client port apart.  Which
 * other slots are tried depends on the time, so that the client's next SYN has new luck, and on the
 * service, so that services with the same servers do not all try the same ones.
 */
static __always_inline int lb_pick(struct lb_packet *pkt)
{
	__u32 hash = lb_slot_hash(pkt), other_slots = pkt->now << 16 | pkt->service->index;
	int verdict = LB_DROP_NO_BACKEND;
	int i;

	lb_find_run(pkt);
	if (LB_WITH_RULES && unlikely(!pkt->run.slots))
		return LB_DROP_NO_BACKEND;
	if (LB_WITH_SHARED && (pkt->service->flags & LB_SERVICE_SHARED))
		lb_find_rivals(pkt);
	for (i = 0; i < LB_PICKS; i++) {
		struct lb_backend *backend;
		__u32 index = lb_slot(pkt, hash);

		hash = (hash ^ other_slots) * 0x9E3779B1 + 0x7F4A7C15;
		backend = lb_backend_at(pkt, index);
		if (unlikely(!backend || backend->service != pkt->service->index))
			return LB_DROP_INTERNAL;
		/* unlikely: older verifiers want a jump back to the head of a loop, not a fall */
		if (unlikely(pkt->previous == index + 1 && i < LB_PICKS - 1))
			continue;
		if (LB_WITH_SHARED && backend->shared && lb_clashes(pkt, backend->shared)) {
			verdict = LB_DROP_TUPLE_CLASH;
			continue;
		}
		pkt->backend = backend;
		pkt->backend_index = index;
		return LB_CONTINUE;
	}
	return verdict;
}

static __always_inline __u8 lb_first_state(const struct lb_packet *pkt, __u8 before)
{
	if (!lb_is_tcp(pkt))
		return LB_STATE_UDP;
	if (pkt->tcp_flags & LB_TCP_RST)
		return LB_STATE_CLOSED | LB_STATE_FIN_CLIENT;
	if (!lb_is_syn(pkt))
		return pkt->tcp_flags & LB_TCP_FIN ? LB_STATE_CLOSING | LB_STATE_FIN_CLIENT :
						     LB_STATE_ESTABLISHED;
	if (LB_WITH_RULES && pkt->run.slots == 1) /* its service has others, but not for it */
		return LB_STATE_HALF_OPEN | LB_STATE_SPENT;
	if (!pkt->previous || !(before & (LB_STATE_WITHHELD | LB_STATE_SPENT)) ||
	    pkt->previous == pkt->backend_index + 1) /* no luck: it may be withheld once more */
		return LB_STATE_HALF_OPEN;
	return LB_STATE_HALF_OPEN | LB_STATE_SPENT;
}

static __always_inline void lb_write_detail(struct lb_packet *pkt)
{
	__u32 index = pkt->connection_index;
	struct lb_connection_detail *detail = details.lookup(&index);
	struct lb_ethernet *eth = pkt->data;

	if (unlikely(!detail))
		return;
	__builtin_memcpy(detail->client, pkt->source, 16);
	detail->client_port = pkt->source_port;
	detail->service_port = pkt->destination_port;
	detail->created = lb_jiffies() >> LB_TICK_SHIFT;
	detail->server_isn = 0;
	*(__u32 *)detail->last_hop = *(__u32 *)eth->source;
	*(__u16 *)(detail->last_hop + 4) = *(__u16 *)(eth->source + 4);
	*(__u32 *)detail->last_hop_source = *(__u32 *)eth->destination;
	*(__u16 *)(detail->last_hop_source + 4) = *(__u16 *)(eth->destination + 4);
	detail->last_hop_nic = pkt->in_nic;
}

/*
 * Claim the entry by compare-and-swap, write it, and publish its key last.  What was half-open when
 * it was chosen may have been established since, by another processor: then it stays.
 */
static __always_inline int lb_insert(struct lb_packet *pkt)
{
	struct lb_connection *entry = pkt->connection;
	__u64 before = pkt->room_key;
	__u16 next_hop = 0;
	__u8 state;

	if (LB_WITH_NAT && !(pkt->service->flags & LB_SERVICE_DSR))
		next_hop = lb_route_lookup(pkt, pkt->source);
	if (__sync_val_compare_and_swap(&entry->key, before, LB_KEY_LOCKED) != before)
		return 0;
	if (before != pkt->key && lb_room_of(pkt, entry, before) == LB_ROOM_NONE) {
		__sync_lock_test_and_set(&entry->key, before);
		return 0;
	}
	state = entry->state;
	entry->backend = pkt->backend_index;
	entry->last_used = pkt->now;
	entry->state = lb_first_state(pkt, before == pkt->key ? state : 0);
	entry->route_version = pkt->control->route_version;
	entry->next_hop = next_hop;
	lb_write_detail(pkt);
	__sync_lock_test_and_set(&entry->key, pkt->key);
	return 1;
}

/* What becomes of a TCP packet that is of no connection and begins none? */
static __always_inline int lb_unknown(const struct lb_packet *pkt)
{
	if (pkt->service->flags & LB_SERVICE_UNKNOWN_HASH)
		return LB_CONTINUE;
	return pkt->service->flags & LB_SERVICE_UNKNOWN_RESET ? LB_RESET : LB_DROP_NO_CONNECTION;
}

/*
 * A reply of no connection.  It is the kernel's (a health check, an answer to the switch itself),
 * but where the client's sets are full of live connections it may well be of one that had no room.
 */
static __always_inline int lb_select_untracked_reply(struct lb_packet *pkt)
{
	if ((pkt->server->flags & LB_SERVICE_SHARED) || lb_make_room(pkt))
		return LB_TO_KERNEL;
	pkt->backend_index = pkt->server->index;
	pkt->backend = lb_backend_at(pkt, pkt->backend_index);
	pkt->delivered = LB_TO_CLIENT;
	if (!pkt->backend)
		return LB_DROP_INTERNAL;
	pkt->service_index = pkt->backend->service;
	return LB_CONTINUE;
}

/*
 * Ask for the memory of the details early: of all that a new connection touches it is the last, and
 * would be waited for when everything else is done.
 */
static __always_inline void lb_fetch_detail(__u32 index)
{
	struct lb_connection_detail *detail = details.lookup(&index);

	if (detail)
		asm volatile("" : : "r"(*(volatile __u32 *)&detail->created));
}

/* No slots: all back-ends are out, or the service was removed and only finishes its connections. */
static __always_inline int lb_select_nobody(struct lb_packet *pkt)
{
	struct lb_service *vip;

	if (!(pkt->service->flags & LB_SERVICE_ORPHAN))
		return LB_DROP_NO_BACKEND;
	vip = lb_directory_find(pkt->buffer, pkt->destination, 0, 0);
	return vip ? lb_service_none(pkt, vip) : LB_TO_KERNEL;
}

static __always_inline int lb_select(struct lb_packet *pkt)
{
	int verdict, room;

	if (likely(pkt->backend))
		return LB_CONTINUE;
	if (pkt->server)
		return lb_select_untracked_reply(pkt);
	if (unlikely(!pkt->service->slots && !(pkt->service->flags & LB_SERVICE_RULES)))
		return lb_select_nobody(pkt);
	room = lb_make_room(pkt);
	if (lb_is_tcp(pkt) && !lb_is_syn(pkt) && room) {
		verdict = lb_unknown(pkt);
		if (verdict != LB_CONTINUE)
			return verdict;
	}
	lb_fetch_detail(pkt->connection_index);
	verdict = lb_pick(pkt);
	if (verdict != LB_CONTINUE)
		return verdict;
	/* a SYN that finds nobody else is of the connection that there is */
	pkt->delivered =
		pkt->previous == pkt->backend_index + 1 ? LB_TO_BACKEND : LB_TO_BACKEND_NEW;
	if (!room || !lb_insert(pkt)) {
		pkt->delivered = LB_TO_BACKEND_UNTRACKED;
		pkt->connection = NULL;
	}
	return LB_CONTINUE;
}

#endif
