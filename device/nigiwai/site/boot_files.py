# SPDX-License-Identifier: Apache-2.0
"""The files that are copied onto a fresh card's boot partition.

Raspberry Pi OS 13: three files make the card a device: `user-data` (cloud-init), `nigiwai-device.toml` and the release
`nigiwai-release.tar`. Raspberry Pi OS 12 knows no cloud-init but `custom.toml`, which sets up the host; the release is
then installed by hand. Pure: values in, text out.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nigiwai.enrol.toml_text import to_toml

CREDENTIALS = "/run/credentials/nigiwai-link.service/nigiwai_"


@dataclass(frozen=True)
class Host:
    """How people and networks reach the host. `ssh_key` None: nobody logs in over the network."""

    name: str
    user: str = "nigiwai"
    ssh_key: str | None = None
    wifi_name: str | None = None
    wifi_password: str | None = None
    country: str = "JP"
    timezone: str = "Asia/Tokyo"


@dataclass(frozen=True)
class Card:
    """What the device file says."""

    site: str
    device: str
    broker: str
    port: int
    desk_url: str | None
    code: str | None
    code_expires: datetime | None
    pin: str
    access_point_password: str
    ca_pem: str
    group: str
    camera: str
    release_key: str | None = None
    releases: str | None = None


def device_toml(card: Card) -> str:
    """`nigiwai-device.toml`."""
    enrolment: dict[str, Any] = {"ca": card.ca_pem}
    if card.desk_url and card.code and card.code_expires:
        enrolment = {"url": card.desk_url, "code": card.code, "expires": card.code_expires.isoformat(), **enrolment}
    updates = {}
    if card.release_key:
        updates = {"updates": {"signers": f'release namespaces="nigiwai-release" {card.release_key}\n'}}
        updates["updates"] |= {"source": card.releases} if card.releases else {}
    head = (
        "# Nigiwai: makes this card one device. Copy it to the boot partition; it is emptied at the first start.\n"
        "# It holds a PIN and a one-time code: do not mail it.\n"
    )
    return head + to_toml(
        {
            "pin": card.pin,
            "access_point_password": card.access_point_password,
            "group": card.group,
            "enrolment": enrolment,
            **updates,
            "settings": settings_table(card),
        }
    )


def settings_table(card: Card) -> dict[str, Any]:
    """The device's settings, with a first gate across the picture that is moved when the camera hangs."""
    return {
        "device": {"site": card.site, "name": card.device},
        "camera": {"source": card.camera},
        "gate": [{"name": "door", "line": [[0.05, 0.6], [0.95, 0.6]], "inside": [0.5, 0.9]}],
        "page": {
            "host": "0.0.0.0",  # noqa: S104  the firewall lets the local network in and nobody else
            "pin_file": CREDENTIALS + "pin",
            "cert_file": CREDENTIALS + "device.crt",
            "key_file": CREDENTIALS + "device.key",
            "access_point": "10.42.0.0/24",
        },
        "mqtt": {
            "host": card.broker,
            "port": card.port,
            "ca_file": CREDENTIALS + "ca.crt",
            "cert_file": CREDENTIALS + "device.crt",
            "key_file": CREDENTIALS + "device.key",
        },
    }


def user_data(host: Host) -> str:
    """cloud-init's `user-data` (Raspberry Pi OS 13, Debian 13). JSON is YAML, so nothing can be quoted wrongly."""
    user: dict[str, Any] = {"name": host.user, "groups": "sudo", "shell": "/bin/bash", "lock_passwd": True}
    if host.ssh_key:
        user |= {"ssh_authorized_keys": [host.ssh_key], "sudo": "ALL=(ALL) NOPASSWD:ALL"}
    data: dict[str, Any] = {
        "hostname": host.name,
        "manage_etc_hosts": True,
        "timezone": host.timezone,
        "ssh_pwauth": False,
        "users": [user],
        "runcmd": [["/bin/sh", "-c", _FIRST_START.format(country=host.country)]],
    }
    if host.wifi_name:
        path = "/etc/NetworkManager/system-connections/site-wifi.nmconnection"
        data["write_files"] = [{"path": path, "permissions": "0600", "content": wifi_connection(host)}]
    return "#cloud-config\n" + json.dumps(data, ensure_ascii=False, indent=1) + "\n"


_FIRST_START = (
    "set -e; boot=/boot/firmware; [ -d $boot ] || boot=/boot;"
    " raspi-config nonint do_wifi_country {country} 2>/dev/null || true;"
    " nmcli connection reload 2>/dev/null || true;"
    " mkdir -p /var/cache/nigiwai-release;"
    " tar -x -f $boot/nigiwai-release.tar -C /var/cache/nigiwai-release;"
    " /var/cache/nigiwai-release/provisioning/first-boot.sh $boot"
)


def wifi_connection(host: Host) -> str:
    """A NetworkManager connection for the site's Wi-Fi."""
    lines = ["[connection]", "id=site-wifi", "type=wifi", "autoconnect-priority=10", "", "[wifi]"]
    lines += [f"ssid={host.wifi_name}", ""]
    if host.wifi_password:
        lines += ["[wifi-security]", "key-mgmt=wpa-psk", f"psk={host.wifi_password}", ""]
    return "\n".join([*lines, "[ipv4]", "method=auto", "", "[ipv6]", "method=auto", ""])


def custom_toml(host: Host) -> str:
    """Raspberry Pi OS 12's `custom.toml`."""
    table: dict[str, Any] = {
        "config_version": 1,
        "system": {"hostname": host.name},
        "user": {"name": host.user},
        "ssh": {"enabled": host.ssh_key is not None, "password_authentication": False},
        "locale": {"keymap": "jp", "timezone": host.timezone},
    }
    if host.ssh_key:
        table["ssh"]["authorized_keys"] = [host.ssh_key]
    if host.wifi_name:
        table["wlan"] = {
            "ssid": host.wifi_name,
            "password": host.wifi_password or "",
            "password_encrypted": False,
            "country": host.country,
        }
    return to_toml(table)
