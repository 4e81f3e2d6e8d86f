# SPDX-License-Identifier: Apache-2.0
"""What must outlive a restart of eye and must never be on a disk: a few kilobytes of memory that systemd holds.

There are two: the open tables of who came, and the learnt view. Each is a memfd, sealed against growing and shrinking,
and handed to systemd's descriptor store (sd_notify(3), FDSTORE=1; sd_listen_fds(3)); systemd gives it back when it
starts eye again, also after a kill. It lives in memory only: after a power loss it is gone. Without systemd it is
ordinary memory of this process.

Two halves are written in turn, each with a length, a serial number and a checksum, so that being killed in the middle
of a write leaves the last whole state.
"""

import array
import contextlib
import fcntl
import os
import socket
import struct
import zlib
from collections.abc import Mapping

NAME = "nigiwai-tally"
VIEW_NAME = "nigiwai-view"
SIZE_BYTES = 262_144
_HALF = SIZE_BYTES // 2
_HEAD = struct.Struct("<QII")  # serial, length, CRC-32 of the content
MOST_BYTES = _HALF - _HEAD.size
_FIRST_FD = 3


class Keepsake:
    """The memory behind `fd`; what it holds is read once, at the start."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        found = [half for i in (0, 1) if (half := self._half(i)) is not None]
        self._serial, self.content = max(found, default=(0, b""))

    def write(self, content: bytes) -> None:
        """Replaces what is held. Raises ValueError if it is longer than MOST_BYTES."""
        if len(content) > MOST_BYTES:
            raise ValueError(f"{len(content)} bytes; {MOST_BYTES} fit")
        self._serial += 1
        head = _HEAD.pack(self._serial, len(content), zlib.crc32(content))
        os.pwrite(self._fd, head + content, self._serial % 2 * _HALF)

    def close(self) -> None:
        """Lets go of the memory; systemd still holds it."""
        os.close(self._fd)

    def _half(self, i: int) -> tuple[int, bytes] | None:
        raw = os.pread(self._fd, _HALF, i * _HALF)
        if len(raw) < _HEAD.size:
            return None
        serial, length, checksum = _HEAD.unpack_from(raw)
        content = raw[_HEAD.size : _HEAD.size + length]
        whole = serial > 0 and len(content) == length and zlib.crc32(content) == checksum
        return (serial, content) if whole else None


def open_keepsake(environment: Mapping[str, str] = os.environ, name: str = NAME) -> Keepsake:
    """What systemd kept under that name of the run before, or new memory that is handed to it."""
    fd = _inherited(environment, name)
    if fd is None:
        fd = _sealed_memory(name)
        _hand_over(fd, environment.get("NOTIFY_SOCKET", ""), name)
    return Keepsake(fd)


def _inherited(environment: Mapping[str, str], name: str) -> int | None:
    """The descriptor of that name among those that systemd passed to this very process."""
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return None
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    if name not in names:
        return None
    fd = _FIRST_FD + names.index(name)
    os.set_inheritable(fd, False)
    return fd


def _sealed_memory(name: str) -> int:
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, SIZE_BYTES)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
    return fd


def _hand_over(fd: int, address: str, name: str) -> None:
    """Gives systemd a copy of the descriptor; without systemd, or where it refuses, nothing outlives this process."""
    if not address:
        return
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as calling,
        contextlib.suppress(OSError),
    ):
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))]
        target = address.replace("@", "\0", 1) if address.startswith("@") else address
        calling.sendmsg([f"FDSTORE=1\nFDNAME={name}".encode()], rights, 0, target)
