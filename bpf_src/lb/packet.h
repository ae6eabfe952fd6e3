/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * struct lb_packet: what travels from stage to stage.
 */
#ifndef LB_PACKET_H
#define LB_PACKET_H

/* What a packet says of a server itself: counted, for whoever watches it. */
enum lb_news {
	LB_NEWS_NONE,
	LB_NEWS_ANSWERED, /* it takes the connection */
	LB_NEWS_REFUSED,
	LB_NEWS_SILENT, /* so says the client: of the back-end tried before */
};

/*
 * The length of a frame with all its buffers.  One that is larger than a page comes in several, to
 * programs that are loaded for it; its headers are in the first, and data_end is the end of that.
 */
#if LB_WITH_FRAGS
static __u64 (*lb_frame_length)(void *ctx) = (void *)188; /* bpf_xdp_get_buff_len */
#else
#define lb_frame_length(ctx) ((ctx)->data_end - (ctx)->data)
#endif

struct lb_packet {
	void *data;
	void *data_end;
	__u32 frame; /* bytes, with the Ethernet header */

	/* parse */
	void *transport; /* TCP, UDP or ICMP header, or NULL */
	__u64 source[2]; /* addresses as two words each, network order */
	__u64 destination[2];
	__be16 source_port;
	__be16 destination_port;
	__u16 length; /* of the IP packet */
	__u8 ipv6;
	__u8 protocol;
	__u8 ttl;
	__u8 tcp_flags;
	__u16 fault; /* the verdict, should the packet turn out to be for a VIP */

	/* service */
	struct lb_control *control;
	struct lb_service *service; /* forward: the service; else NULL */
	struct lb_service *server;  /* reply: who sent it; else NULL */
	__u32 buffer;               /* 0 or 1, read once */
	__u32 service_index;        /* of the service, either way; LB_NONE */

	/* connection, select */
	__u64 rivals;   /* shared servers of the client's other connections: four of 16 bits */
	__u64 key;      /* fingerprint of the client */
	__u64 room_key; /* of the entry that makes room for it */
	struct lb_backend *backend;
	struct lb_connection *connection; /* NULL: untracked */
	struct lb_run run;                /* of the slots that it may take; aligned as one number */
	__u32 connection_index;
	__u16 backend_index;
	__u16 previous; /* the back-end tried before, plus one; 0: none */
	__u16 now;      /* in ticks */
	__u32 slot;     /* of the run; see trace.h */
	__u8 news;      /* enum lb_news */

	/* route, rewrite */
	__u16 mtu; /* that the packet exceeds */
	__u8 in_nic;
	__u8 out_nic;
	__u8 delivered; /* the verdict that counts as success: LB_TO_... */
};

/* The second word of an IPv4-mapped address, as it lies in memory; the first is zero. */
static __always_inline __u64 lb_mapped(__be32 address)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return (__u64)address << 32 | 0xffff0000;
#else
	return 0xffffULL << 32 | address;
#endif
}

static __always_inline int lb_is_mapped(const __u64 address[2])
{
	return !address[0] && *(const __u32 *)&address[1] == lb_htonl(0xffff);
}

static __always_inline int lb_is_tcp(const struct lb_packet *pkt)
{
	return pkt->protocol == LB_IPPROTO_TCP;
}

/* A SYN that asks for a connection. */
static __always_inline int lb_is_syn(const struct lb_packet *pkt)
{
	return (pkt->tcp_flags & (LB_TCP_SYN | LB_TCP_ACK | LB_TCP_RST | LB_TCP_FIN)) == LB_TCP_SYN;
}

#endif
