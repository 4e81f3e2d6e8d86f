#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The first program of the virtual device: finds its disk and hands over to systemd.
b=/bin/busybox
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs dev /dev
while read -r module; do $b insmod "$module"; done </modules/order
# A disk is there when its driver has asked it; no event tells this small program.
until [ -b /dev/vda ]; do $b sleep 1; done
$b mount -t ext4 -o noatime /dev/vda /disk || exec $b sh
$b umount /proc /sys
$b mount -o move /dev /disk/dev
exec $b switch_root /disk /sbin/init
