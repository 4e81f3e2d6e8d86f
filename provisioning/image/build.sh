#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds a bootable arm64 image with Nigiwai in it: `build.sh OUT.img RELEASE_FOLDER`. Needs root; README.md says what else.
#
#   RPI_ARCHIVE, RPI_KEYRING   the Raspberry Pi's archive and its key; without them no board can start from the image
#   RAUC_CERT, RAUC_KEY        also write OUT.raucb, the same system as a signed update (layout.sh)
#   ARCH                       arm64 unless given; amd64 builds the same for a virtual machine
set -euo pipefail

HERE=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
OUT=${1:-}
RELEASE=${2:-}
ARCH=${ARCH:-arm64}
SUITE=trixie
# shellcheck source=provisioning/virtual/foreign.sh
. "$HERE/../virtual/foreign.sh"
PACKAGES=systemd,systemd-sysv,systemd-timesyncd,dbus,udev,kmod,python3,python3-venv,ca-certificates,tzdata,nftables,openssl
PACKAGES=$PACKAGES,openssh-client,openssh-server,network-manager,dnsmasq-base,iw,wpasupplicant,avahi-daemon,cloud-init,sudo
PACKAGES=$PACKAGES,e2fsprogs,fdisk,util-linux-extra,fake-hwclock,rauc,rauc-service,mtools

die() {
    printf 'build: %s\n' "$*" >&2
    exit 1
}

if [ -z "$OUT" ] || [ ! -d "$RELEASE/provisioning" ]; then
    sed -n '3,7s/^# \{0,1\}//p' "$0"
    exit 2
fi
[ "$(id -u)" = 0 ] || die "run this as root"
for tool in mmdebstrap systemd-nspawn genimage mcopy mkfs.vfat mke2fs ${RAUC_KEY:+rauc mksquashfs}; do
    command -v "$tool" >/dev/null || die "$tool is missing; README.md has the list"
done

work=$(mktemp -d)
trap 'end_foreign; rm -rf "$work"' EXIT
root=$work/root
begin_foreign

# The Pi's packages come with a key that is named here and believed for this one archive only.
sources=()
if [ -n "${RPI_ARCHIVE:-}" ]; then
    [ -r "${RPI_KEYRING:-}" ] || die "RPI_KEYRING must name the archive's key"
    sources=("deb [signed-by=$RPI_KEYRING] $RPI_ARCHIVE $SUITE main")
    PACKAGES=$PACKAGES,raspi-firmware,linux-image-rpi-v8,linux-image-rpi-2712,python3-picamera2,rpi-eeprom
else
    echo "build: RPI_ARCHIVE is not set: the image will not start on a board" >&2
    PACKAGES=$PACKAGES,linux-image-$ARCH,initramfs-tools
fi

# mmdebstrap looks for Debian's own entry of an emulator, and cannot know of ours.
debian() { mmdebstrap --variant=minbase --arch="$ARCH" --skip=check/qemu --include="$PACKAGES" "$SUITE" "$root" "$@"; }
if [ ${#sources[@]} -gt 0 ]; then debian "" "${sources[@]}"; else debian; fi

mkdir -p "$root/boot/firmware"
# In a container, so that /proc is there and nothing reaches this machine's own services.
within "$root" --bind-ro="$(readlink -f "$RELEASE"):/mnt" /mnt/provisioning/install.sh --no-start

# cloud-init reads the boot partition, as on Raspberry Pi OS, and nothing else.
install -D -m 644 "$HERE/cloud.cfg" "$root/etc/cloud/cloud.cfg.d/99-nigiwai.cfg"
echo nigiwai >"$root/etc/hostname"
printf '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n' >"$root/etc/hosts"
# Debian 13's script (0.14) takes its own default, "false", for leave to set the clock back to the saved time at every start,
# over a clock with a battery. Any other word lets it only set the clock forward.
echo 'FORCE=no' >"$root/etc/default/fake-hwclock"
printf '#cloud-config\n{}\n' >"$root/boot/firmware/user-data"
printf 'instance-id: nigiwai\n' >"$root/boot/firmware/meta-data"
[ -n "${RPI_ARCHIVE:-}" ] || cp -L "$root"/vmlinuz "$root"/initrd.img "$root/boot/firmware/"

"$HERE/layout.sh" "$root" "$OUT"
echo "build: $OUT"
