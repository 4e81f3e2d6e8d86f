#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The system read-only but for what a device must keep: `read-only.sh close` at every start, `read-only.sh open` to change it.
#
# Everything lies on one partition, so it is the mount that is closed, not the file system: no program writes to any place
# but these. What only has to be writable for a while lies in memory.
set -eu

KEPT="/etc/nigiwai /opt/nigiwai /var/lib/nigiwai /var/lib/systemd /var/lib/NetworkManager /etc/NetworkManager/system-connections
/var/lib/mosquitto /home /root"
VOLATILE="/tmp /var/tmp /var/log /var/cache"

close() {
    for place in $KEPT; do
        if [ -d "$place" ] && ! mountpoint -q "$place"; then mount --bind "$place" "$place"; fi
    done
    for place in $VOLATILE; do
        mountpoint -q "$place" || mount -t tmpfs -o "size=64M,nosuid,nodev,mode=$(stat -c %a "$place")" tmpfs "$place"
    done
    # NetworkManager keeps the file itself in /run where it finds this link.
    if [ -d /run/NetworkManager ] || command -v NetworkManager >/dev/null; then
        [ -L /etc/resolv.conf ] || ln -sfn /run/NetworkManager/resolv.conf /etc/resolv.conf
    fi
    mount -o remount,bind,ro /
}

case ${1:-} in
close) close ;;
open) mount -o remount,bind,rw / ;;
*) exit 2 ;;
esac
