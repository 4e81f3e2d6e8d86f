#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Inside the virtual device: tells its state on the console, a line every two seconds, for a person or a test to read.
LEDGER=/var/lib/nigiwai/ledger.db

ask() { sqlite3 -readonly -cmd '.timeout 2000' "$LEDGER" "$1" 2>/dev/null || echo none; }

first=$(ask 'PRAGMA integrity_check')
echo "@@ begin uptime=$(cut -d. -f1 /proc/uptime) integrity=$first bins=$(ask 'SELECT count(*) FROM bin') records=$(ask 'SELECT count(*) FROM record')"
while :; do
    echo "@@ uptime=$(cut -d. -f1 /proc/uptime)" \
        "eye=$(systemctl is-active nigiwai-eye)" "link=$(systemctl is-active nigiwai-link)" \
        "restarts=$(systemctl show -P NRestarts nigiwai-eye)+$(systemctl show -P NRestarts nigiwai-link)" \
        "bins=$(ask 'SELECT count(*) FROM bin')" "records=$(ask 'SELECT count(*) FROM record')" \
        "camera=$(systemctl show -P DevicePolicy nigiwai-eye):$(readlink /sys/class/video4linux/video0/device/driver 2>/dev/null | xargs -r basename)" \
        "memory=$(systemctl show -P MemoryCurrent nigiwai-eye)/$(systemctl show -P MemoryMax nigiwai-eye)" \
        "said=$(journalctl --no-pager --output=cat --lines=40 --unit=nigiwai-eye | grep 'code=' | tail -n 1 | tr '\n' ' ' | tr -s ' ' '_' | cut -c1-160)"
    sleep 2
done
