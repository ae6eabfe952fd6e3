/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What `lbctl explain` and `lbctl capture` get to see: part of the contract, see abi.h.
 */
#ifndef LB_INSPECTION_H
#define LB_INSPECTION_H

/* The stages, and what ends the pipeline; switch.c has them on one screen. */
enum lb_stage {
	LB_STAGE_ARRIVE,
	LB_STAGE_PARSE,
	LB_STAGE_SERVICE,
	LB_STAGE_CONNECTION,
	LB_STAGE_SELECT,
	LB_STAGE_ROUTE,
	LB_STAGE_REWRITE,
	LB_STAGE_APP,
	LB_STAGE_PSEUDO,
	LB_STAGE_ICMP,
	LB_STAGE_RESET,
	LB_STAGE_TOO_BIG,
	LB_STAGE_FINISH,
	LB_STAGE_MAX,
};

/* What a stage made of a packet; each fills in what it finds out.  See trace.h. */
struct lb_trace {
	__u64 key;        /* connection: fingerprint of the client */
	__u32 reached;    /* 0: the packet did not come that far */
	__u32 verdict;    /* of the stage; of the packet, in the end */
	__u16 service;    /* service: index of the VIP's; LB_NONE, like those that follow */
	__u16 server;     /* service: index of the back-end that the sender seems to be */
	__u16 backend;    /* connection, select: its index */
	__u16 connection; /* connection, select: which of the eight entries, the first set's first */
	__u32 slots;      /* select: of the run that a new connection takes its slot from */
	__u32 slot;       /* select: which one it took */
	__u16 previous;   /* connection: index of the back-end that was asked before, plus one */
	__u16 mtu;        /* route, pseudo: that the packet exceeds; else 0 */
	__u8 delivered;   /* connection, select: the verdict, if nothing comes between */
	__u8 buffer;      /* service */
	__u8 in_nic;      /* finish: slots */
	__u8 out_nic;
};

/*
 * What a filter can ask for.  The frame has it as it came, or its back-end or service has: these bits
 * are the marks of both.
 */
enum lb_liked {
	LB_LIKED_FRAME = 1, /* the NIC and the protocol: always asked for */
	LB_LIKED_HOST = 2,
	LB_LIKED_PORT = 4,
	LB_LIKED_BACKEND = 8,
	LB_LIKED_SERVICE = 16,
	LB_LIKED_ALL = 31,
};

/* Which packets a capture wants: those that have all of this. */
struct lb_filter {
	__u64 nics;     /* a bit for the slot of each NIC that they may come in by */
	__u32 verdicts; /* a bit for each */
	__u32 snap;     /* bytes of a frame to take, at most LB_SNAP */
	__be32 host[4]; /* sender or receiver of the frame as it comes */
	__be16 port;    /* of either */
	__u8 protocol;  /* 0: any; ICMP is both kinds of it */
	__u8 spare;
	__u32 asks;   /* enum lb_liked: what must be found */
	__u64 missed; /* packets for which there was no room */
};

/* A captured packet: this, then the frame as it came, then as it leaves. */
struct lb_captured {
	__u64 time;       /* CLOCK_MONOTONIC, ns */
	__u32 came;       /* length of the frame as it came, */
	__u32 leaves;     /* and as it leaves; 0: it does not */
	__u16 came_taken; /* bytes of either that follow */
	__u16 leaves_taken;
	__u16 service; /* its index, or LB_NONE */
	__u16 backend; /* the same */
	__u8 verdict;
	__u8 in_nic; /* slots */
	__u8 out_nic;
	__u8 action; /* XDP's */
	__u32 liked; /* enum lb_liked */
};

#endif
