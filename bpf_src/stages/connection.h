/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage: connection.  A known flow, in either direction.
 *
 * In:  pkt->service or pkt->server.
 * Out: pkt->connection, pkt->backend and its index; pkt->connection alone where a SYN starts it
 *      over; or neither.
 *
 * An entry is found by a fingerprint of the client: both directions know its address, its port and
 * the protocol.  That a packet belongs to it is then proven by the back-end's record, which the
 * rewrite reads anyway: its service must be the packet's, or its address the sender's.
 */
#ifndef LB_CONNECTION_H
#define LB_CONNECTION_H

static __u64 (*lb_jiffies)(void) = (void *)118; /* bpf_jiffies64: inlined, a load */

/* Ticks since the last packet.  Another processor's clock may be a tick ahead: that is no age. */
static __always_inline __u16 lb_age(const struct lb_packet *pkt, const struct lb_connection *entry)
{
	__u16 age = pkt->now - entry->last_used;

	return age < LB_AGE_FUTURE ? age : 0;
}

static __always_inline int lb_expired(const struct lb_packet *pkt,
				      const struct lb_connection *entry)
{
	return lb_age(pkt, entry) > pkt->control->timeout[entry->state & LB_STATE_MASK];
}

static __always_inline struct lb_backend *lb_backend_at(const struct lb_packet *pkt, __u32 index)
{
	__u32 place = pkt->buffer * LB_BACKENDS + index;

	if (unlikely(index >= LB_BACKENDS))
		return NULL;
	return backends.lookup(&place);
}

static __always_inline int lb_same(const __be32 a[4], const __u64 b[2])
{
	const __u64 *words = (const __u64 *)a;

	return words[1] == b[1] && words[0] == b[0];
}

/* Does the record prove that the packet belongs to a connection of this back-end? */
static __always_inline int lb_belongs(const struct lb_packet *pkt, const struct lb_backend *backend)
{
	if (pkt->service)
		return backend->service == pkt->service->index && backend->state;
	return lb_same(backend->address, pkt->source) && backend->protocol == pkt->protocol &&
	       (!backend->port || backend->port == pkt->source_port) && backend->state &&
	       !(LB_WITH_DSR && (backend->flags & LB_SERVICE_DSR));
}

static __always_inline int lb_find_in(struct lb_packet *pkt, __u64 key, __u32 index)
{
	struct lb_connection_set *set = connections.lookup(&index);
	int i;

	if (unlikely(!set))
		return 0;
#pragma unroll
	for (i = 0; i < LB_WAYS; i++) {
		struct lb_connection *entry = &set->way[i];
		struct lb_backend *backend;
		__u32 backend_index;

		if (likely(entry->key != key))
			continue;
		backend_index = entry->backend;
		backend = lb_backend_at(pkt, backend_index);
		if (!backend || !lb_belongs(pkt, backend) || lb_expired(pkt, entry))
			continue;
		pkt->connection = entry;
		pkt->connection_index = index * LB_WAYS + i;
		pkt->backend = backend;
		pkt->backend_index = backend_index;
		pkt->service_index = backend->service;
		return 1;
	}
	return 0;
}

/*
 * The next state of a TCP connection.  A reset counts as the end of the side that sent it; should
 * that very side go on talking, the reset was forged by somebody else and is forgotten.
 */
static __always_inline __u8 lb_tcp_next(struct lb_packet *pkt, __u8 state)
{
	__u8 mine = pkt->service ? LB_STATE_FIN_CLIENT : LB_STATE_FIN_SERVER;
	__u8 both = LB_STATE_FIN_CLIENT | LB_STATE_FIN_SERVER;
	__u8 flags = state & ~LB_STATE_MASK;

	state &= LB_STATE_MASK;
	/* only a handshake that is proven, or the server, leads out of half-open */
	if (state == LB_STATE_HALF_OPEN && !(pkt->server && (pkt->tcp_flags & LB_TCP_RST)))
		return flags | state;
	if (pkt->tcp_flags & LB_TCP_RST)
		return flags | mine | LB_STATE_CLOSED;
	if (pkt->tcp_flags & LB_TCP_FIN) {
		flags |= mine;
		return flags | ((flags & both) == both ? LB_STATE_CLOSED : LB_STATE_CLOSING);
	}
	if (state == LB_STATE_CLOSED && (flags & both) == mine)
		return (flags & ~mine) | LB_STATE_ESTABLISHED;
	return flags | state;
}

/*
 * The handshake, slow path.  The client's ACK counts only if it names the number that the server
 * chose: a flood of SYNs followed by blind ACKs establishes nothing.  With DSR the server's answer
 * is not seen, and the ACK alone has to do.
 */
static __always_inline __u8 lb_tcp_handshake(struct lb_packet *pkt, __u8 state)
{
	__u32 index = pkt->connection_index;
	struct lb_connection_detail *detail = details.lookup(&index);
	struct lb_tcp *tcp = pkt->transport;

	if (unlikely(!detail || (void *)(tcp + 1) > pkt->data_end || !(tcp->flags & LB_TCP_ACK)))
		return state;
	if (pkt->server) {
		if (tcp->flags & LB_TCP_SYN) {
			detail->server_isn = tcp->sequence;
			if (!(state & LB_STATE_ANSWERED))
				pkt->news = LB_NEWS_ANSWERED;
			state |= LB_STATE_ANSWERED;
		}
		return state;
	}
	if (!(pkt->service->flags & LB_SERVICE_DSR)) {
		__u32 ahead = lb_ntohl(tcp->acknowledgement) - lb_ntohl(detail->server_isn);

		if (!(state & LB_STATE_ANSWERED) || !ahead || ahead > 1 << 20)
			return state;
	}
	return (state & ~LB_STATE_MASK) | LB_STATE_ESTABLISHED;
}

/* A SYN, or what answers it, of a connection whose server has not said yes so far. */
static __always_inline int lb_is_asking(__u8 state)
{
	return (state & LB_STATE_MASK) == LB_STATE_HALF_OPEN && !(state & LB_STATE_ANSWERED);
}

/* The first refusal of a server is kept back when another server may say yes: see select.h. */
static __always_inline int lb_withhold_reset(struct lb_packet *pkt, __u8 state)
{
	if (!pkt->server || !(pkt->tcp_flags & LB_TCP_RST) || !lb_is_asking(state))
		return 0;
	pkt->news = LB_NEWS_REFUSED;
	return !(state & (LB_STATE_WITHHELD | LB_STATE_SPENT)) &&
	       (pkt->backend->flags & LB_SERVICE_MULTIPLE);
}

/*
 * Does this packet begin a new connection in the place of the one found?  A SYN does when that one
 * is over, when its back-end takes no new ones, or when its server has not answered the SYN before:
 * a server that is silent costs the client time, not the connection.  UDP, which has no beginning,
 * does when its back-end is down or gone.
 */
static __always_inline int lb_starts_over(const struct lb_packet *pkt, __u8 state)
{
	__u8 bare = state & LB_STATE_MASK;

	if (!pkt->service)
		return 0;
	if (bare == LB_STATE_UDP)
		return pkt->backend->state >= LB_BACKEND_DOWN;
	if (!lb_is_syn(pkt))
		return 0;
	if (bare == LB_STATE_CLOSING || bare == LB_STATE_CLOSED)
		return 1;
	if (pkt->backend->state != LB_BACKEND_ACTIVE)
		return 1;
	return lb_is_asking(state) &&
	       (pkt->service->flags & (LB_SERVICE_MULTIPLE | LB_SERVICE_DSR)) ==
		       LB_SERVICE_MULTIPLE;
}

/*
 * Is its server dead, in a pool that tells its clients?  Whatever they say next is answered by a
 * reset.  Their own resets go on: the server may be less dead than it seems.
 */
static __always_inline int lb_is_lost(const struct lb_packet *pkt)
{
	return LB_WITH_RESET_DOWN && pkt->service && lb_is_tcp(pkt) &&
	       pkt->backend->state == LB_BACKEND_DOWN && !(pkt->tcp_flags & LB_TCP_RST) &&
	       (pkt->service->flags & LB_SERVICE_RESET_DOWN);
}

/* Where the state is in the second word of an entry. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LB_STATE_SHIFT (8 * (__builtin_offsetof(struct lb_connection, state) % 8))
#else
#define LB_STATE_SHIFT (56 - 8 * (__builtin_offsetof(struct lb_connection, state) % 8))
#endif

/*
 * From one state to the next.  Both sides may finish at the same moment, on two processors: with a
 * plain store one of the two would be forgotten, and the connection not be over for minutes.  So the
 * word is swapped only if it is the one that the decision was made from.
 */
static __always_inline void lb_tcp_step(struct lb_packet *pkt, __u64 *place, __u64 word)
{
	int i;

	for (i = 0; i < 2; i++) {
		__u8 state = word >> LB_STATE_SHIFT, next = state;
		__u64 found;

		if ((state & LB_STATE_MASK) == LB_STATE_HALF_OPEN)
			next = lb_tcp_handshake(pkt, state);
		next = lb_tcp_next(pkt, next);
		if (next == state)
			return;
		found = __sync_val_compare_and_swap(place, word,
						    word ^ (__u64)(state ^ next) << LB_STATE_SHIFT);
		if (found == word)
			return;
		word = found;
	}
}

static __always_inline int lb_track_tcp(struct lb_packet *pkt, struct lb_connection *entry)
{
	__u64 *place = (__u64 *)entry + 1, word = *(volatile __u64 *)place;
	__u8 state = word >> LB_STATE_SHIFT;

	if (lb_withhold_reset(pkt, state)) {
		entry->state = state | LB_STATE_WITHHELD;
		return LB_DROP_RESET_WITHHELD;
	}
	if (unlikely((state & LB_STATE_MASK) != LB_STATE_ESTABLISHED ||
		     (pkt->tcp_flags & (LB_TCP_SYN | LB_TCP_FIN | LB_TCP_RST))))
		lb_tcp_step(pkt, place, word);
	return LB_CONTINUE;
}

static __always_inline int lb_track(struct lb_packet *pkt)
{
	struct lb_connection *entry = pkt->connection;
	int verdict = LB_CONTINUE;

	if (lb_is_tcp(pkt))
		verdict = lb_track_tcp(pkt, entry);
	if (entry->last_used != pkt->now)
		entry->last_used = pkt->now;
	return verdict;
}

static __always_inline int lb_connection(struct lb_packet *pkt)
{
	pkt->now = lb_jiffies() >> LB_TICK_SHIFT;
	pkt->key = lb_fingerprint(pkt);
	if (!lb_find_in(pkt, pkt->key, lb_first_set(pkt->key)) &&
	    !lb_find_in(pkt, pkt->key, lb_second_set(pkt->key)))
		return LB_CONTINUE;
	if (pkt->service && lb_is_syn(pkt) && lb_is_asking(pkt->connection->state)) {
		pkt->previous = pkt->backend_index + 1;
		if (!(pkt->connection->state & LB_STATE_WITHHELD)) /* that refusal was counted */
			pkt->news = LB_NEWS_SILENT;
	}
	if (unlikely(lb_starts_over(pkt, pkt->connection->state))) {
		pkt->backend = NULL;
		return LB_CONTINUE;
	}
	if (unlikely(lb_is_lost(pkt))) {
		pkt->connection->last_used =
			pkt->now; /* or the next packet would be a stranger's */
		pkt->connection->state = LB_STATE_CLOSED | LB_STATE_FIN_SERVER;
		return LB_RESET_DOWN;
	}
	pkt->delivered = pkt->service ? LB_TO_BACKEND : LB_TO_CLIENT;
	return lb_track(pkt);
}

#endif
