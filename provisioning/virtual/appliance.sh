#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A whole virtual device: Debian with its own kernel, systemd and the real units under QEMU, on a disk that survives.
#
#   sudo provisioning/virtual/appliance.sh       everything: Debian's packages, the system, the disk, a broker; then starts it
#
#   provisioning/virtual/appliance.sh build [DISK]    makes the disk alone, from what prepare.sh has made
#   provisioning/virtual/appliance.sh run [DISK]      starts it alone; ends when the machine powers off
#
# Camera: vivid, the kernel's own test camera, at /dev/video0 (CAMERA=vivid), or the bundled clip (CAMERA=clip, the default).
# Page: http://127.0.0.1:$PAGE_PORT/. Broker: a broker of this machine on port $BROKER_PORT, which the guest knows as 10.0.2.2.
# The console goes to standard output: a line of state every two seconds (report.sh). KVM is used where a guest has been seen
# to run under it, and emulation (slow) elsewhere; ACCEL=kvm or ACCEL=tcg says which without a look.
set -euo pipefail

HERE=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
MACHINES=${NIGIWAI_MACHINES:-/var/cache/nigiwai/machines}
SUITE=${SUITE:-trixie}
PAGE_PORT=${PAGE_PORT:-18080}
BROKER_PORT=${BROKER_PORT:-1883}
CAMERA=${CAMERA:-clip}
DISK_SIZE=${DISK_SIZE:-3G}
ACCEL=${ACCEL:-}

case ${1:-up} in up | build | run) ;; *) sed -n '3,15s/^# \{0,1\}//p' "$0" && exit 2 ;; esac
DISK=${2:-$MACHINES/appliance-$SUITE.img}
KERNEL=$MACHINES/appliance-$SUITE.kernel
INITRD=$MACHINES/appliance-$SUITE.initrd

say() { echo "appliance: $*"; }

tool() { command -v "$1" >/dev/null || { echo "appliance: $1 is missing: apt install $2" >&2 && exit 1; }; }

within() { systemd-nspawn --quiet --register=no --keep-unit --console=pipe --directory="$1" "${@:2}" </dev/null; }

# The prepared system with a kernel. Packages come from Debian, so this needs a network.
add_kernel() {
    local root=$1
    cp -a --reflink=auto "$MACHINES/$SUITE" "$root"
    # shellcheck disable=SC2016  # it is the inner shell that expands
    within "$root" sh -c '
        set -e
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends "linux-image-$(dpkg --print-architecture)" initramfs-tools sqlite3 >/dev/null
        apt-get clean
        rm -rf /var/lib/apt/lists/*'
    cp "$root"/boot/vmlinuz-* "$KERNEL"
    cp "$root"/boot/initrd.img-* "$INITRD"
    rm -f "$root"/boot/*
}

settings() {
    local data=/opt/nigiwai/current/venv/lib/python3.13/site-packages/nigiwai/data/models/demo
    echo '[device]'
    echo 'site = "virtual"'
    echo 'name = "appliance"'
    echo '[camera]'
    if [ "$CAMERA" = vivid ]; then
        printf 'source = "v4l2"\ndevice = "/dev/video0"\nwidth_px = 640\nheight_px = 360\n'
    else
        printf 'source = "recording"\npath = "%s"\nloop = true\n' "$data/entrance.mp4"
    fi
    printf '[ledger]\ninterval_s = 5\n[page]\nhost = "0.0.0.0"\n[mqtt]\nhost = "10.0.2.2"\nport = %s\n' "$BROKER_PORT"
    cat "$1$data/entrance.gates.toml"
}

furnish() {
    local root=$1
    settings "$root" >"$root/etc/nigiwai/nigiwai.toml"
    printf 'vivid\n' >"$root/etc/modules-load.d/vivid.conf"
    printf 'options vivid n_devs=1 node_types=0x1 num_inputs=1 input_types=0x00\n' >"$root/etc/modprobe.d/vivid.conf"
    printf '[Match]\nName=en*\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\n' >"$root/etc/systemd/network/80-virtual.network"
    echo '/dev/vda / ext4 defaults,noatime 0 1' >"$root/etc/fstab"
    echo nigiwai-virtual >"$root/etc/hostname"
    install -m 755 "$HERE/report.sh" "$root/usr/local/sbin/nigiwai-report"
    printf '[Unit]\nDescription=Tells the state on the console\n[Service]\nExecStart=/usr/local/sbin/nigiwai-report\nStandardOutput=tty\nTTYPath=/dev/ttyS0\n[Install]\nWantedBy=multi-user.target\n' \
        >"$root/etc/systemd/system/nigiwai-report.service"
    # In a container, not in a bare chroot: systemctl looks into /proc to know where it is.
    within "$root" systemctl --quiet enable nigiwai.target systemd-networkd.service nigiwai-report.service
    within "$root" systemctl --quiet mask serial-getty@ttyS0.service
    mkdir -p "$root/etc/systemd/system/nigiwai-eye.service.d" "$root/etc/systemd/system/nigiwai-link.service.d"
    # An emulated processor is many times slower than the slowest board; nothing else of the units is changed.
    printf '[Service]\nTimeoutStartSec=600\nWatchdogSec=240\n' |
        tee "$root/etc/systemd/system/nigiwai-eye.service.d/emulated.conf" >"$root/etc/systemd/system/nigiwai-link.service.d/emulated.conf"
}

build() {
    tool mke2fs e2fsprogs
    tool systemd-nspawn systemd-container
    [ -d "$MACHINES/$SUITE" ] || { echo "appliance: run prepare.sh first" >&2 && exit 1; }
    local root=$MACHINES/appliance-$SUITE
    if ! cmp -s "$MACHINES/bundle.made-from" "$root.made-from" || [ ! -d "$root" ]; then
        say "adding Debian's kernel ..."
        rm -rf "$root" "$root.part" "$root.made-from"
        add_kernel "$root.part"
        mv "$root.part" "$root"
        cp "$MACHINES/bundle.made-from" "$root.made-from"
    fi
    furnish "$root"
    rm -f "$DISK"
    mke2fs -q -t ext4 -d "$root" "$DISK" "$DISK_SIZE"
    say "$DISK is ready"
}

# Some hosts have /dev/kvm and then refuse a guest's registers, or leave it at its first instructions. Seen is believed.
kvm_works() {
    [ -w /dev/kvm ] || return 1
    grep -q -m 1 'Linux version' < <(
        timeout 20 qemu-system-x86_64 -machine q35,accel=kvm -cpu max -m 512 -display none -serial stdio -monitor none \
            -nodefaults -no-reboot -kernel "$KERNEL" -append "console=ttyS0 panic=-1" </dev/null 2>/dev/null
    )
}

run() {
    tool qemu-system-x86_64 qemu-system-x86
    local extra=() cpu=max
    [ -z "${EXTRA:-}" ] || read -ra extra <<<"$EXTRA"
    if [ -z "$ACCEL" ]; then
        if kvm_works; then ACCEL=kvm; else ACCEL=tcg; fi
        say "the processor is $([ "$ACCEL" = kvm ] && echo "this machine's own (KVM)" || echo "emulated: slow, some minutes to the first count")"
    fi
    # Emulated, a processor without AVX: QEMU 7.2 gets that wrong, and ONNX Runtime dies of it. And a kernel that does not
    # panic where the emulator, on a busy machine, is late with the first tick of its timer.
    local words="root=/dev/vda rw console=ttyS0 panic=-1 quiet"
    [ "$ACCEL" = kvm ] || { cpu=Nehalem && words="$words no_timer_check"; }
    exec qemu-system-x86_64 -machine "q35,accel=$ACCEL" -cpu "$cpu" -smp 2 -m "${MEMORY_MIB:-1024}" -display none -serial stdio -no-reboot \
        -kernel "$KERNEL" -initrd "$INITRD" -append "$words" \
        -drive "file=$DISK,format=raw,if=virtio,cache=writethrough" \
        -nic "user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:$PAGE_PORT-:8080" "${extra[@]}"
}

# What this machine lacks, from Debian. Mosquitto's own service is not started: a broker is wanted for this once.
install_tools() {
    local missing=() pair
    for pair in mmdebstrap:mmdebstrap systemd-nspawn:systemd-container qemu-system-x86_64:qemu-system-x86 mke2fs:e2fsprogs \
        python3:python3-venv; do
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
    if [ ! -f "$DISK" ] || ! cmp -s "$MACHINES/bundle.made-from" "$MACHINES/appliance-$SUITE.made-from"; then build; fi
    start_broker
    say "page: http://127.0.0.1:$PAGE_PORT/   listen: mosquitto_sub -p $BROKER_PORT -t 'nigiwai/#' -v   end: Ctrl-C"
    run &
    STARTED+=("$!")
    wait "$!"
}

STARTED=()
# However this ends, what it has started ends too.
trap '[ ${#STARTED[@]} -eq 0 ] || kill "${STARTED[@]}" 2>/dev/null || true' EXIT
trap 'exit 130' INT TERM


"${1:-up}"
