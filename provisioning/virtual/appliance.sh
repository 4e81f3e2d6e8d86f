#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A whole virtual device: Debian with its own kernel, systemd and the real units under QEMU, on a disk that survives.
#
#   sudo provisioning/virtual/appliance.sh               everything: Debian's packages, the system, the disk, a broker; then starts it
#   sudo ARCH=arm64 provisioning/virtual/appliance.sh    the same with the processor of a Raspberry Pi 5, emulated
#
#   provisioning/virtual/appliance.sh build [DISK]    makes the disk alone, from what prepare.sh has made
#   provisioning/virtual/appliance.sh run [DISK]      starts it alone; ends when the machine powers off
#
# CAMERA, chosen at every start:
#   clip      the bundled clip, at its own pace, again and again (the default)
#   replay    the same once, every picture of it however long that takes: a slow emulation counts what a board would
#   vivid     the kernel's own test camera at /dev/video0: patterns, and nobody to count
#   kernel    the same camera looks at the clip, once: eye gets its pictures from the kernel, as from a USB camera (guest/feed.py).
#             An emulated machine's time then goes with its instructions, one in a nanosecond: a camera waits for nobody
# Page: http://127.0.0.1:$PAGE_PORT/. Broker: a broker of this machine on port $BROKER_PORT, which the guest knows as 10.0.2.2.
# The console goes to standard output: a line of state every two seconds (guest/report.py). KVM is used where a guest has been
# seen to run under it, and emulation (slow) elsewhere; ACCEL=kvm or ACCEL=tcg says which without a look. MEMORY_MIB, CPUS,
# CPU (the model) and EXTRA (QEMU's own options) as they are called.
set -euo pipefail

HERE=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
# shellcheck source=provisioning/virtual/foreign.sh
. "$HERE/foreign.sh"
# shellcheck source=provisioning/virtual/furnish.sh
. "$HERE/furnish.sh"
PAGE_PORT=${PAGE_PORT:-18080}
BROKER_PORT=${BROKER_PORT:-1883}
CAMERA=${CAMERA:-clip}
DISK_SIZE=${DISK_SIZE:-3G}
ACCEL=${ACCEL:-}
QEMU=qemu-system-$MACHINE

case ${1:-up} in up | build | run) ;; *) sed -n '3,20s/^# \{0,1\}//p' "$0" && exit 2 ;; esac
case $CAMERA in clip | replay | vivid | kernel) ;; *) echo "appliance: CAMERA=$CAMERA: clip, replay, vivid and kernel are known" >&2 && exit 2 ;; esac
DISK=${2:-$ROOT_OF_DEVICE.img}

say() { echo "appliance: $*"; }

tool() { command -v "$1" >/dev/null || { echo "appliance: $1 is missing: apt install $2" >&2 && exit 1; }; }

build() {
    local pair
    for pair in mke2fs:e2fsprogs systemd-nspawn:systemd-container mmdebstrap:mmdebstrap depmod:kmod cpio:cpio xz:xz-utils; do
        tool "${pair%%:*}" "${pair#*:}"
    done
    [ -d "$MACHINES/$SUITE$OF" ] || { echo "appliance: run prepare.sh first" >&2 && exit 1; }
    local root=$ROOT_OF_DEVICE
    begin_foreign
    if ! cmp -s "$MACHINES/bundle$OF.made-from" "$root.made-from" || [ ! -d "$root" ]; then
        say "adding Debian's kernel ..."
        rm -rf "$root" "$root.part" "$root.made-from"
        cp -a --reflink=auto "$MACHINES/$SUITE$OF" "$root.part"
        add_kernel "$root.part"
        mv "$root.part" "$root"
        cp "$MACHINES/bundle$OF.made-from" "$root.made-from"
    fi
    furnish "$root"
    rm -f "$DISK"
    mke2fs -q -t ext4 -d "$root" "$DISK" "$DISK_SIZE"
    say "$DISK is ready"
}

# The board of each processor, with what its kernel is told about it. Emulated x86: a processor without AVX, because QEMU 7.2
# gets that wrong and ONNX Runtime dies of it, and a kernel that does not panic where the emulator, on a busy machine, is late
# with the first tick of its timer. Emulated arm64: a Raspberry Pi 5's core.
board() {
    case $ARCH in
        arm64) BOARD=virt CONSOLE=ttyAMA0 ;;
        amd64) BOARD=q35 CONSOLE=ttyS0 ;;
    esac
    WORDS="root=/dev/vda rw console=$CONSOLE panic=-1 quiet nigiwai.camera=$CAMERA nigiwai.broker=$BROKER_PORT"
    if [ "$ACCEL" = kvm ]; then
        CPU=${CPU:-host}
    else
        CPU=${CPU:-$(foreign_cpu)}
        WORDS="$WORDS nigiwai.patient mitigations=off no_timer_check systemd.default_timeout_start_sec=900"
        # One processor, because several would share that time. Nobody waits while all of them do.
        [ "$CAMERA" != kernel ] || { PACE=(-icount 'shift=0,sleep=off') && CPUS=1; }
    fi
}

# Some hosts have /dev/kvm and then refuse a guest's registers, or leave it at its first instructions. Seen is believed.
kvm_works() {
    [ -z "$OF" ] && [ -w /dev/kvm ] || return 1
    local ACCEL=kvm BOARD CONSOLE WORDS CPU=${CPU:-}
    board
    grep -q -m 1 'Linux version' < <(
        timeout 20 "$QEMU" -machine "$BOARD,accel=kvm" -cpu "$CPU" -m 512 -display none -serial stdio -monitor none \
            -nodefaults -no-reboot -kernel "$KERNEL" -append "console=$CONSOLE panic=-1" </dev/null 2>/dev/null
    )
}

run() {
    tool "$QEMU" "qemu-system-$([ "$ARCH" = arm64 ] && echo arm || echo x86)"
    local extra=() PACE=()
    [ -z "${EXTRA:-}" ] || read -ra extra <<<"$EXTRA"
    if [ -z "$ACCEL" ]; then
        if kvm_works; then ACCEL=kvm; else ACCEL=tcg; fi
        say "the processor is $([ "$ACCEL" = kvm ] && echo "this machine's own (KVM)" || echo "emulated: slow, some minutes to the first count")"
    fi
    board
    exec "$QEMU" -machine "$BOARD,accel=$ACCEL" -cpu "$CPU" -smp "${CPUS:-2}" -m "${MEMORY_MIB:-1024}" -display none -serial stdio -no-reboot \
        -kernel "$KERNEL" -initrd "$INITRD" -append "$WORDS" \
        -drive "file=$DISK,format=raw,if=virtio,cache=writethrough" \
        -nic "user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:$PAGE_PORT-:8080" "${PACE[@]}" "${extra[@]}"
}

# What this machine lacks, from Debian. Mosquitto's own service is not started: a broker is wanted for this once.
install_tools() {
    local missing=() pair
    for pair in mmdebstrap:mmdebstrap systemd-nspawn:systemd-container mke2fs:e2fsprogs depmod:kmod cpio:cpio xz:xz-utils python3:python3-venv \
        "$QEMU:qemu-system-$([ "$ARCH" = arm64 ] && echo arm || echo x86)"; do
        command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
    done
    [ ${#missing[@]} -eq 0 ] || say "installing ${missing[*]} ..."
    [ ${#missing[@]} -eq 0 ] ||
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null; } ||
        { echo "appliance: could not install ${missing[*]}: connect a network, or install them by hand" >&2 && exit 1; }
    "$HERE/../../scripts/ensure-broker.sh" "${PYTHON:-python3}"
}

start_broker() {
    local program
    program=$(command -v mosquitto || echo /usr/sbin/mosquitto)
    if (: <>"/dev/tcp/127.0.0.1/$BROKER_PORT") 2>/dev/null; then
        say "the broker is the one that runs on port $BROKER_PORT already"
    elif [ -x "$program" ]; then
        # Without a configuration it listens to this machine only, which is where the guest's 10.0.2.2 leads.
        "$program" -p "$BROKER_PORT" >/dev/null 2>&1 &
        STARTED+=("$!")
    else
        say "no broker here: the device counts, and keeps what it would send"
    fi
}

up() {
    [ "$(id -u)" = 0 ] || { echo "appliance: run this as root: sudo $0" >&2 && exit 1; }
    install_tools
    "$HERE/prepare.sh"
    if [ ! -f "$DISK" ] || [ -n "$(find "$HERE" -type f -newer "$DISK")" ] ||
        ! cmp -s "$MACHINES/bundle$OF.made-from" "$ROOT_OF_DEVICE.made-from"; then
        build
        end_foreign
    fi
    start_broker
    say "page: http://127.0.0.1:$PAGE_PORT/   listen: mosquitto_sub -p $BROKER_PORT -t 'nigiwai/#' -v   end: Ctrl-C"
    run &
    STARTED+=("$!")
    wait "$!"
}

STARTED=()
# However this ends, what it has started ends too.
clear_up() {
    [ ${#STARTED[@]} -eq 0 ] || kill "${STARTED[@]}" 2>/dev/null || true
    end_foreign
}
trap clear_up EXIT
trap 'exit 130' INT TERM

"${1:-up}"
