#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A card of provisioning/image in a virtual machine: two whole systems, of which an update replaces the other one.
#
#   sudo provisioning/virtual/card.sh build          makes $NIGIWAI_MACHINES/card-trixie.img and .raucb, the same as an update
#                                                    signed with card-trixie.key, from what prepare.sh has made
#   provisioning/virtual/card.sh run [CARD.img]      starts a card until it powers off; what it writes stays on the card
#
# This script plays the part of a Raspberry Pi's firmware, after its documentation ("autoboot.txt", "tryboot"): it reads
# autoboot.txt of partition 1, and starts kernel and command line of the partition that [all] names there, or once that of
# [tryboot], where the kernel was told so by `systemctl reboot --reboot-argument="0 tryboot"`. The rest is the card's own.
#
# SSH: port $SSH_PORT of 127.0.0.1, for the user that the card's user-data makes. Page: port $PAGE_PORT. The console goes to
# standard output. ARCH, MEMORY_MIB, CPUS, CPU and EXTRA as for appliance.sh.
set -euo pipefail

HERE=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
# shellcheck source=provisioning/virtual/foreign.sh
. "$HERE/foreign.sh"
PATH=$PATH:/usr/sbin:/sbin
SSH_PORT=${SSH_PORT:-18022}
PAGE_PORT=${PAGE_PORT:-18080}
CARD=$MACHINES/card-$SUITE$OF

say() { echo "card: $*"; }
die() { echo "card: $*" >&2 && exit 1; }

build() {
    [ -d "$MACHINES/bundle$OF" ] || die "run prepare.sh first"
    # Kept like a seal for real devices; for this one it lies beside the card.
    [ -e "$CARD.key" ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj "/CN=virtual card" \
        -keyout "$CARD.key" -out "$CARD.crt" 2>/dev/null
    rm -f "$CARD.img" "$CARD.raucb"
    ARCH=$ARCH RAUC_KEY=$CARD.key RAUC_CERT=$CARD.crt BOOT_SIZE=${BOOT_SIZE:-128M} ROOT_SIZE=${ROOT_SIZE:-2G} \
        "$HERE/../image/build.sh" "$CARD.img" "$MACHINES/bundle$OF"
}

# --- The firmware -------------------------------------------------------------------------------------------------

# A partition as mtools name it.
partition() {
    local start
    start=$(sfdisk --dump "$DISK" | sed -n "s/^[^ ]*$1 : start= *\([0-9]*\),.*/\1/p")
    echo "$DISK@@$((start * 512))"
}

# The partition that a section of autoboot.txt names.
named_in() { mtype -i "$(partition 1)" ::autoboot.txt | tr -d '\r' | sed -n "/^\[$1\]/,/^\[/s/^boot_partition=//p" | head -n 1; }

# Takes kernel, first programs and command line from a partition; fails where there is no system.
take() {
    local name
    for name in vmlinuz initrd.img cmdline.txt; do
        mcopy -n -o -i "$(partition "$1")" "::$name" "$WORK/$name" 2>/dev/null || return 1
    done
}

# An emulated processor needs time, as guest/generator.sh gives it to the appliance. Here systemd takes the additions to its
# units from the kernel's command line (systemd.unit-dropin.*, systemd-debug-generator(8)), so that the card is as it is.
allow() { printf ' systemd.set_credential_binary=systemd.unit-dropin.%s:%s' "$1" "$(printf '[Service]\n%b' "$2" | base64 -w 0)"; }

patience() {
    local unit
    for unit in nigiwai-eye nigiwai-link; do allow $unit.service 'TimeoutStartSec=900\nWatchdogSec=240\n'; done
    for unit in systemd-journald systemd-udevd systemd-logind; do allow $unit.service 'WatchdogSec=0\n'; done
    allow nigiwai-rauc-good.service 'Environment=TRIES=600\nTimeoutStartSec=3h\n'
}

start() {
    local board=q35 console=ttyS0 words extra
    [ "$ARCH" = amd64 ] || board=virt console=ttyAMA0
    words="$(cat "$WORK/cmdline.txt") console=$console mitigations=off no_timer_check systemd.default_timeout_start_sec=900$(patience)"
    read -ra extra <<<"${EXTRA:-}"
    "qemu-system-$MACHINE" -machine "$board,accel=tcg" -cpu "${CPU:-$(foreign_cpu)}" -smp "${CPUS:-2}" -m "${MEMORY_MIB:-1024}" \
        -display none -serial stdio -no-reboot -kernel "$WORK/vmlinuz" -initrd "$WORK/initrd.img" -append "$words" \
        -drive "file=$DISK,format=raw,if=virtio,cache=writeback" \
        -nic "user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:$SSH_PORT-:22,hostfwd=tcp:127.0.0.1:$PAGE_PORT-:8080" \
        "${extra[@]}" </dev/null | tee "$WORK/console"
}

said() { tail -n 20 "$WORK/console" | grep -aq "$1"; }

run() {
    local section=all number
    for tool in "qemu-system-$MACHINE" mcopy sfdisk; do command -v "$tool" >/dev/null || die "$tool is missing"; done
    [ -f "$DISK" ] || die "$DISK is missing: run card.sh build"
    WORK=$(mktemp -d)
    trap 'rm -rf "$WORK"' EXIT
    while true; do
        number=$(named_in $section)
        say "the firmware starts partition $number, as [$section] says"
        if take "$number"; then
            start || die "the machine broke off"
            ! said 'reboot: Power down' || break
            section=all
            ! said "reboot: Restarting system with command '0 tryboot'" || section=tryboot
        elif [ $section = tryboot ]; then
            say "there is no system"
            section=all
        else
            die "there is no system in partition $number"
        fi
    done
}

DISK=${2:-$CARD.img}
case ${1:-} in
    build | run) "$1" ;;
    *) sed -n '3,15s/^# \{0,1\}//p' "$0" && exit 2 ;;
esac
