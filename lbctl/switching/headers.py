"""
The header tree: the few kernel headers that bcc insists on, written by us.

BCC wants the headers of the running kernel, which many machines do not have.  Our sources need
nothing of them, so a small tree of stand-ins, named by BCC_KERNEL_SOURCE, satisfies every bcc
from 0.18 on, and compiles ten times as fast.
"""

from __future__ import annotations

import mmap
import platform
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_GUARD = "#pragma once\n"
_KERNEL_TYPES = """\
typedef unsigned char u8; typedef unsigned short u16;
typedef unsigned int u32; typedef unsigned long long u64;
typedef signed char s8; typedef short s16; typedef int s32; typedef long long s64;
typedef _Bool bool; typedef unsigned long uintptr_t; typedef unsigned long size_t;
enum { false = 0, true = 1 };
#ifndef NULL
#define NULL ((void *)0)
#endif
"""
_TYPES = """\
typedef unsigned char __u8; typedef unsigned short __u16;
typedef unsigned int __u32; typedef unsigned long long __u64;
typedef signed char __s8; typedef short __s16; typedef int __s32; typedef long long __s64;
typedef __u16 __le16, __be16, __sum16; typedef __u32 __le32, __be32, __wsum;
typedef __u64 __le64, __be64;
#define __bitwise
#define __aligned_u64 __u64 __attribute__((aligned(8)))
"""
_BPF_COMMON = "#define BPF_CLASS(code) ((code) & 0x07)\n" + "".join(
    f"#define BPF_{name} {value:#04x}\n"
    for name, value in (
        *(("LD", 0x00), ("LDX", 0x01), ("ST", 0x02), ("STX", 0x03), ("ALU", 0x04), ("JMP", 0x05)),
        *(("W", 0x00), ("H", 0x08), ("B", 0x10), ("IMM", 0x00), ("ABS", 0x20), ("IND", 0x40)),
        *(("MEM", 0x60), ("ADD", 0x00), ("K", 0x00), ("X", 0x08)),
    )
)


def _version() -> str:
    """LINUX_VERSION_CODE of the running kernel."""
    major, minor, patch = (
        int(part) for part in ([*re.findall(r"\d+", platform.release()), "0", "0"])[:3]
    )
    return (
        f"#define LINUX_VERSION_CODE {(major << 16) + (minor << 8) + min(patch, 255)}\n"
        "#define KERNEL_VERSION(a,b,c) (((a)<<16)+((b)<<8)+((c)>255?255:(c)))\n"
    )


def write(folder: Path) -> None:
    """Write the tree below *folder*, which BCC_KERNEL_SOURCE then names."""
    files = {
        "linux/kconfig.h": '#define CONFIG_BPF_SYSCALL 1\n#include "kernel_types.h"\n',
        "linux/kernel_types.h": _KERNEL_TYPES,
        "linux/types.h": _TYPES,
        "linux/bpf_common.h": _BPF_COMMON,
        "linux/version.h": _version(),
        # bcc's own header asks for this in a macro that we do not use
        "linux/log2.h": "#define roundup_pow_of_two(n) (1UL << (64 - __builtin_clzl((n) - 1)))\n",
        "asm/page.h": f"#define PAGE_SIZE {mmap.PAGESIZE}UL\n",
        "uapi/linux/if_packet.h": "",
        "uapi/linux/bpf.h": "",  # bcc includes its own copy before
    }
    for name, text in files.items():
        path = folder / "include" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_GUARD + text)
