#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# shellcheck disable=SC2153,SC2154  # set by appliance.sh and foreign.sh
# Sourced into appliance.sh: makes the system of a virtual device out of the one that prepare.sh has installed.

ROOT_OF_DEVICE=$MACHINES/appliance-$SUITE$OF
KERNEL=$ROOT_OF_DEVICE.kernel
INITRD=$ROOT_OF_DEVICE.initrd

# Debian's kernel and its modules. Only unpacked, here: inside an emulated system that alone would take minutes.
add_kernel() {
    local root=$1 unpacked=$MACHINES/kernel-$SUITE$OF version
    if [ ! -d "$unpacked" ]; then
        rm -rf "$unpacked.part"
        mmdebstrap --quiet --variant=extract --arch="$ARCH" --include="linux-image-$ARCH,busybox-static" "$SUITE" "$unpacked.part"
        mv "$unpacked.part" "$unpacked"
    fi
    version=$(basename "$(echo "$unpacked"/boot/vmlinuz-*)" | cut -d- -f2-)
    mkdir -p "$root/usr/lib/modules"
    cp -a "$unpacked/usr/lib/modules/$version" "$root/usr/lib/modules/"
    depmod -b "$root" "$version"
    cp "$unpacked/boot/vmlinuz-$version" "$KERNEL"
    make_initrd "$root" "$unpacked/usr/bin/busybox" "$version" >"$INITRD"
}

# The first programs of a start: busybox and what QEMU's disk takes. Debian's own way would put in, read and unpack at
# every start everything that any PC may need.
make_initrd() {
    local root=$1 busybox=$2 version=$3 tree module file
    tree=$(mktemp -d)
    mkdir -p "$tree"/{bin,dev,proc,sys,disk,modules}
    cp "$busybox" "$tree/bin/busybox"
    ln -s busybox "$tree/bin/sh"
    # In the order in which they are loaded; those that are part of the kernel have no file.
    for module in virtio_pci virtio_blk ext4; do
        modprobe -d "$root" -S "$version" --show-depends "$module"
    done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' >"$tree/list"
    while read -r file; do
        module=$(basename "$file")
        case $file in *.xz) xz -dc "$file" ;; *.zst) zstd -dcq "$file" ;; *) cat "$file" ;; esac >"$tree/modules/${module%.[xz]*}"
        echo "/modules/${module%.[xz]*}"
    done <"$tree/list" >"$tree/modules/order"
    rm "$tree/list"
    cp "$HERE/guest/init.sh" "$tree/init"
    (cd "$tree" && find . | cpio -o -H newc --quiet | gzip -1)
    rm -rf "$tree"
}

# What makes it this virtual device and no other; done anew with every disk.
furnish() {
    local root=$1 guest=$HERE/guest unit
    install -d "$root/usr/local/lib/nigiwai-virtual" "$root/etc/systemd/system-generators"
    install -m 755 "$guest/report.py" "$guest/choose.sh" "$guest/feed.py" "$root/usr/local/lib/nigiwai-virtual/"
    install -m 755 "$guest/generator.sh" "$root/etc/systemd/system-generators/nigiwai-virtual"
    printf '[Match]\nName=en*\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\n' >"$root/etc/systemd/network/80-virtual.network"
    echo '/dev/vda / ext4 defaults,noatime 0 1' >"$root/etc/fstab"
    echo nigiwai-virtual >"$root/etc/hostname"
    for unit in report choose feed; do
        install -m 644 "$guest/nigiwai-$unit.service" "$root/etc/systemd/system/"
        ln -sfn "../nigiwai-$unit.service" "$root/etc/systemd/system/multi-user.target.wants/nigiwai-$unit.service"
    done
    # Nothing to bring up to date at the first start: linker's cache, hardware database and the like are Debian's own.
    touch "$root/etc/.updated" "$root/var/.updated"
    # In a container, not in a bare chroot: systemctl looks into /proc to know where it is.
    within "$root" systemctl --quiet enable nigiwai.target systemd-networkd.service
    # Nobody logs in at the console, and what comes by the calendar is left for a device that lives longer.
    within "$root" systemctl --quiet mask serial-getty@ttyS0.service serial-getty@ttyAMA0.service getty@tty1.service \
        apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer fstrim.timer
}
