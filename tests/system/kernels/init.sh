#!/bin/sh
# The first process of a guest: this machine's root file system, read-only with a layer of memory
# on top, the kernel's own modules in it, and one command.  The folder /run/guest is shared with
# the host: `command` comes from there, `status` goes there.
B=/bin/busybox

die() {
	echo "guest: $*"
	$B poweroff -f
}

$B mount -t proc proc /proc
$B mount -t sysfs sysfs /sys
$B mount -t devtmpfs devtmpfs /dev
while read -r module; do
	$B insmod "/modules/$module" || die "cannot load $module"
done </modules/order

share=trans=virtio,version=9p2000.L,msize=512000
$B mount -t 9p -o "ro,cache=loose,$share" root /low || die "no root file system"
$B mount -t tmpfs -o size=70% tmpfs /layer && $B mkdir /layer/upper /layer/work
$B mount -t overlay -o lowerdir=/low,upperdir=/layer/upper,workdir=/layer/work overlay /new ||
	die "no layer of memory"
$B mount -t proc proc /new/proc
$B mount -t sysfs sysfs /new/sys
$B mount -t devtmpfs devtmpfs /new/dev
$B mkdir -p /new/dev/pts /new/dev/shm
$B mount -t devpts devpts /new/dev/pts
$B mount -t tmpfs tmpfs /new/dev/shm
$B mount -t tmpfs tmpfs /new/run
$B mount -t bpf bpf /new/sys/fs/bpf
$B mount -t cgroup2 cgroup2 /new/sys/fs/cgroup
$B mkdir -p /new/run/guest
$B mount -t 9p -o "$share" guest /new/run/guest || die "no folder of results"
. /new/run/guest/places
$B mkdir -p "/new/lib/modules/$release"
$B mount --bind "/low$modules" "/new/lib/modules/$release" || die "no modules"

echo /bin/helper >/proc/sys/kernel/modprobe # the kernel looks for it where this process began
$B ip link set lo up
$B hostname guest
ulimit -l unlimited
$B chroot /new /bin/bash /run/guest/command
echo $? >/new/run/guest/status
$B sync
$B poweroff -f
