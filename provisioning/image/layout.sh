#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Lays a system out on a card: `layout.sh ROOT OUT.img`. Called by build.sh, which makes ROOT; ROOT is changed. Needs root.
#
#   RAUC_CERT, RAUC_KEY   also write OUT.raucb, the same system as a signed update of the other slot
#   BOOTFS_SIZE BOOT_SIZE ROOT_SIZE DATA_SIZE   unless 128M, 256M, 3G, 256M
#
# No loop device is needed: genimage makes file systems from folders. What a system keeps from one update to the next lies
# on the data partition and is put in its place by /etc/fstab.
set -euo pipefail

HERE=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
ROOT=$(readlink -f "${1:?name the folder of the system}")
OUT=${2:?name the image to write}
ID=4e494757
KEPT=(etc/nigiwai var/lib/nigiwai etc/NetworkManager/system-connections)

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

write_fstab() {
    {
        echo "PARTUUID=$ID-01 /boot/firmware vfat defaults,noatime 0 2"
        echo "PARTUUID=$ID-07 /data ext4 defaults,noatime,x-systemd.growfs 0 2"
        for place in "${KEPT[@]}"; do
            echo "/data/$place /$place none bind,x-systemd.requires-mounts-for=/data 0 0"
        done
    } >"$ROOT/etc/fstab"
}

move_data() {
    local place
    mkdir -p "$ROOT/data" "$work/data/rauc"
    for place in "${KEPT[@]}"; do
        mkdir -p "$ROOT/$place" "$work/data/$(dirname "$place")"
        cp -a "$ROOT/$place" "$work/data/$place"
    done
}

# What the firmware and the kernel need goes with its system; what people copy onto the card, and autoboot.txt, does not.
split_boot() {
    mkdir -p "$work/bootfs" "$work/bootA" "$ROOT/boot/firmware"
    cp -R "$ROOT/boot/firmware/." "$work/bootA/"
    find "$ROOT/boot/firmware" -mindepth 1 -delete
    local name
    for name in user-data meta-data; do
        [ ! -e "$work/bootA/$name" ] || mv "$work/bootA/$name" "$work/bootfs/"
    done
    BOOT=$work/bootfs STATES=$work/data/rauc "$HERE/rauc/rauc-tryboot" set-primary A
    "$HERE/rauc/hook" cmdline A >"$work/bootA/cmdline.txt"
}

install_rauc() {
    local program unit
    for program in rauc-tryboot rauc-judge grow-data; do
        install -D -m 755 "$HERE/rauc/$program" "$ROOT/usr/lib/nigiwai/$program"
    done
    install -D -m 644 "$HERE/rauc/system.conf" "$ROOT/etc/rauc/system.conf"
    for unit in nigiwai-rauc-good.service nigiwai-grow-data.service; do
        install -D -m 644 "$HERE/rauc/$unit" "$ROOT/etc/systemd/system/$unit"
    done
    mkdir -p "$ROOT/etc/systemd/system/multi-user.target.wants" "$ROOT/etc/systemd/system/local-fs.target.wants"
    ln -sfn ../nigiwai-rauc-good.service "$ROOT/etc/systemd/system/multi-user.target.wants/nigiwai-rauc-good.service"
    ln -sfn ../nigiwai-grow-data.service "$ROOT/etc/systemd/system/local-fs.target.wants/nigiwai-grow-data.service"
    [ -z "${RAUC_CERT:-}" ] || install -D -m 644 "$RAUC_CERT" "$ROOT/etc/rauc/keyring.pem"
}

make_image() {
    sed -e "s|@OUT@|$(basename "$OUT")|" -e "s|@BOOTFS_SIZE@|${BOOTFS_SIZE:-128M}|" -e "s|@BOOT_SIZE@|${BOOT_SIZE:-256M}|" \
        -e "s|@ROOT_SIZE@|${ROOT_SIZE:-3G}|" -e "s|@DATA_SIZE@|${DATA_SIZE:-256M}|" "$HERE/genimage.cfg" >"$work/genimage.cfg"
    mkdir -p "$work/made"
    # From that folder: it copies what srcpath names as it stands there.
    (cd "$work" && genimage --rootpath "$ROOT" --inputpath . --outputpath made --tmppath tmp --config genimage.cfg) >&2
    cp --sparse=always "$work/made/$(basename "$OUT")" "$OUT"
}

# The same files as an update. Which slot they land in, and so the kernel's command line, is known only on the device.
make_update() {
    local update=$work/update
    mkdir -p "$update"
    cp "$HERE/rauc/hook" "$update/hook"
    mv "$work/made/root.ext4" "$work/made/bootA.vfat" "$update/"
    cat >"$update/manifest.raucm" <<MANIFEST
[update]
compatible=nigiwai-raspberrypi-arm64
version=${VERSION:-$(date -u +%Y-%m-%d)}

[bundle]
format=${RAUC_FORMAT:-verity}

[hooks]
filename=hook

[image.rootfs]
filename=root.ext4

[image.boot]
filename=bootA.vfat
hooks=post-install
MANIFEST
    rm -f "${OUT%.img}.raucb"
    rauc --cert "$RAUC_CERT" --key "$RAUC_KEY" bundle "$update" "${OUT%.img}.raucb" >&2
}

write_fstab
install_rauc
move_data
split_boot
make_image
[ -z "${RAUC_KEY:-}" ] || make_update
