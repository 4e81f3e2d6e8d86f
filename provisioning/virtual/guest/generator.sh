#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Inside the virtual device, a systemd.generator(7): all that is changed of its units.
set -eu

asked() { grep -qw "$1" /proc/cmdline; }

change() {
    mkdir -p "$OUT/$1.service.d"
    printf '[Service]\n%s\n' "$2" >"$OUT/$1.service.d/$3.conf"
}

OUT=$1
# An emulated processor is many times slower than the slowest board: things may take longer to start and to count.
if asked nigiwai.patient; then
    for room in nigiwai-eye nigiwai-link; do
        change $room 'TimeoutStartSec=900' patient-start
        change $room 'WatchdogSec=240' patient-watchdog
    done
    for part in systemd-journald systemd-udevd systemd-logind systemd-networkd; do change $part 'WatchdogSec=0' patient; done
fi
# Once through the clip, and no more.
! asked nigiwai.camera=replay || change nigiwai-eye 'Restart=on-failure' once
