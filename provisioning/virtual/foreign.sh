#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2034  # what is set here is used where this is sourced
# Sourced into prepare.sh and appliance.sh: which processor is meant, and how its programs run here if it is another one.
#
#   ARCH    arm64 or amd64; this machine's own unless given
#   OF      what the names of its systems end in: nothing for this machine's own, -arm64 or -amd64 for another's
#
# Programs of another processor are run by QEMU, which the kernel starts for them (binfmt_misc). The emulator is Debian
# 13's: that of Debian 12 (7.2) crashes when ONNX Runtime is loaded. It is registered while a system is made, and no longer.

MACHINES=${NIGIWAI_MACHINES:-/var/cache/nigiwai/machines}
SUITE=${SUITE:-trixie}
HOST_ARCH=$(dpkg --print-architecture)
ARCH=${ARCH:-$HOST_ARCH}
OF=
[ "$ARCH" = "$HOST_ARCH" ] || OF=-$ARCH

case $ARCH in
    arm64) MACHINE=aarch64 ;;
    amd64) MACHINE=x86_64 ;;
    *) echo "ARCH=$ARCH: arm64 and amd64 are known" >&2 && exit 2 ;;
esac

BINFMT=/proc/sys/fs/binfmt_misc
BINFMT_NAME=nigiwai-$ARCH
BINFMT_MOUNTED=no

# The first 20 bytes of a program: ELF, 64 bits, little-endian, executable or shared, of that processor. The mask lets
# the system that it is for and the kind of file vary, as Debian's own entries do.
magic() {
    local processor
    case $ARCH in arm64) processor='\xb7\x00' ;; amd64) processor='\x3e\x00' ;; esac
    printf '%s' '\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00' "$processor"
}

MASK='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'

# A processor without pointer authentication, whose emulation is what makes QEMU's default one eight times slower.
foreign_cpu() { case $ARCH in arm64) echo cortex-a76 ;; amd64) echo Nehalem ;; esac; }

# Lets programs of $ARCH run on this machine until end_foreign. Does nothing for this machine's own.
begin_foreign() {
    [ -n "$OF" ] || return 0
    local qemu=$MACHINES/qemu-user
    if [ ! -x "$qemu/usr/bin/qemu-$MACHINE" ]; then
        mkdir -p "$MACHINES"
        rm -rf "$qemu" "$qemu.part"
        mmdebstrap --quiet --variant=extract --include=qemu-user trixie "$qemu.part"
        mv "$qemu.part" "$qemu"
    fi
    if [ ! -e "$BINFMT/register" ]; then
        mount -t binfmt_misc binfmt_misc "$BINFMT" ||
            { echo "$ARCH programs cannot be run here: this kernel has no binfmt_misc" >&2 && exit 1; }
        BINFMT_MOUNTED=yes
    fi
    [ ! -e "$BINFMT/$BINFMT_NAME" ] || echo -1 >"$BINFMT/$BINFMT_NAME"
    # F: the emulator is opened now, so that it need not be in the system that is made. The newest entry goes first.
    printf ':%s:M::%s:%s:%s:F' "$BINFMT_NAME" "$(magic)" "$MASK" "$qemu/usr/bin/qemu-$MACHINE" >"$BINFMT/register"
    export QEMU_CPU
    QEMU_CPU=$(foreign_cpu)
}

end_foreign() {
    [ ! -e "$BINFMT/$BINFMT_NAME" ] || echo -1 >"$BINFMT/$BINFMT_NAME"
    [ "$BINFMT_MOUNTED" = no ] || umount "$BINFMT"
    BINFMT_MOUNTED=no
}

# Runs a command in a system's folder, as in a machine of its own.
within() {
    systemd-nspawn --quiet --register=no --keep-unit --console=pipe ${OF:+--setenv=QEMU_CPU="$(foreign_cpu)"} --directory="$1" \
        "${@:2}" </dev/null
}
