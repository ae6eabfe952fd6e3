/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What C makes of the same AF_XDP rings, as xdpsock does: the measure of lbctl.netif.
 *
 * A shared library for ctypes.  The rings are mapped by Python and in their first state; indices
 * are read from them at each call.  All functions work in batches and return packets.
 */
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

struct ring {
	uint32_t *producer, *consumer, *flags;
	uint64_t *rows; /* fill, completion: address; rx, tx: address, length */
	uint64_t mask;
};

struct port {
	struct ring fill, completion, rx, tx;
	uint8_t *memory;
	int64_t descriptor, batch;
};

#define LOAD(p) __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define STORE(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)
#define FRAME 2048

static void give(struct ring *fill, uint64_t address)
{
	fill->rows[(*fill->producer)++ & fill->mask] = address & -(uint64_t)FRAME;
}

static void reap(struct port *port, int refill)
{
	struct ring *from = &port->completion;
	uint32_t ready = LOAD(from->producer), at = *from->consumer;

	while (at != ready) {
		uint64_t address = from->rows[at++ & from->mask];

		if (refill)
			give(&port->fill, address);
	}
	STORE(from->consumer, at);
}

static void kick(struct port *port)
{
	if (LOAD(port->tx.flags) & 1)
		while (LOAD(port->tx.consumer) != *port->tx.producer)
			sendto(port->descriptor, 0, 0, MSG_DONTWAIT, 0, 0);
}

static void turn_around(uint8_t *packet)
{
	uint8_t macs[6];
	uint32_t addresses[2];
	uint16_t ports[2];

	memcpy(macs, packet, 6);
	memcpy(packet, packet + 6, 6);
	memcpy(packet + 6, macs, 6);
	memcpy(addresses, packet + 26, 8);
	memcpy(packet + 26, &addresses[1], 4);
	memcpy(packet + 30, &addresses[0], 4);
	memcpy(ports, packet + 34, 4);
	memcpy(packet + 34, &ports[1], 2);
	memcpy(packet + 36, &ports[0], 2);
}

static int64_t next_batch(struct port *port)
{
	uint32_t ready = LOAD(port->rx.producer) - *port->rx.consumer;

	return ready < port->batch ? ready : port->batch;
}

int64_t drop(struct port *port)
{
	struct ring *rx = &port->rx;
	int64_t done = 0, count;

	while ((count = next_batch(port))) {
		uint32_t at = *rx->consumer;

		for (int64_t i = 0; i < count; i++)
			give(&port->fill, rx->rows[2 * (at + i & rx->mask)]);
		STORE(port->fill.producer, *port->fill.producer);
		STORE(rx->consumer, at + count);
		done += count;
	}
	return done;
}

int64_t echo(struct port *port)
{
	struct ring *rx = &port->rx, *tx = &port->tx;
	int64_t done = 0, count;

	while ((count = next_batch(port))) {
		uint32_t at = *rx->consumer, out = *tx->producer;

		for (int64_t i = 0; i < count; i++, out++) {
			uint64_t *row = &rx->rows[2 * (at + i & rx->mask)];

			turn_around(port->memory + row[0]);
			tx->rows[2 * (out & tx->mask)] = row[0];
			tx->rows[2 * (out & tx->mask) + 1] = row[1];
		}
		STORE(rx->consumer, at + count);
		STORE(tx->producer, out);
		kick(port);
		reap(port, 1);
		STORE(port->fill.producer, *port->fill.producer);
		done += count;
	}
	return done;
}

/* The frames of the upper half of the memory in turn: those are not the fill ring's. */
int64_t transmit(struct port *port, int64_t total, int64_t length, int64_t frames)
{
	struct ring *tx = &port->tx;

	for (int64_t done = 0; done < total; done += port->batch) {
		uint32_t out = *tx->producer;

		for (int64_t i = 0; i < port->batch; i++, out++) {
			uint64_t frame = frames / 2 + (done + i) % (frames / 2);

			tx->rows[2 * (out & tx->mask)] = frame * FRAME + 256;
			tx->rows[2 * (out & tx->mask) + 1] = length;
		}
		STORE(tx->producer, out);
		kick(port);
		reap(port, 0);
	}
	return total;
}
