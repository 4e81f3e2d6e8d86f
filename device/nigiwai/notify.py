# SPDX-License-Identifier: Apache-2.0
"""Tells systemd how the service is (sd_notify(3)); without systemd nothing happens."""

import os
import socket

_ADDRESS = os.environ.get("NOTIFY_SOCKET", "")


def notify(state: str, address: str = _ADDRESS) -> None:
    """Sends `state`, such as READY=1 or WATCHDOG=1. Feed the watchdog by progress, never by a timer."""
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as calling:
        calling.setblocking(False)
        try:
            calling.sendto(state.encode(), address.replace("@", "\0", 1) if address.startswith("@") else address)
        except OSError:
            # systemd's queue is full or gone: the next progress feeds it, and a service must not die of it.
            return
