# SPDX-License-Identifier: Apache-2.0
"""Link, Mosquitto and eye's end of the door in a network of their own, with every packet of it captured.

unshare --net python -m tests.link.namespace FOLDER          prints a line of JSON; needs root
"""

import json
import socket
import struct
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.link.harness import Broker, Ear, FakeEye, Link, wait_for

ETH_P_ALL = 0x0003
IPV4, TCP = 0x0800, 6
Flow = tuple[int, int]


@dataclass
class Capture:
    """Everything that crosses the loopback device, the only one there is."""

    kinds: Counter[str] = field(default_factory=Counter)
    segments: dict[Flow, dict[int, bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1_048_576)
        self._socket.settimeout(0.2)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def _read(self) -> None:
        while True:
            try:
                frame, (_, protocol, kind, *_) = self._socket.recvfrom(65_600)
            except TimeoutError:
                if self._over.is_set():
                    return
                continue
            if kind != socket.PACKET_OUTGOING:  # each comes twice: as it leaves, and as it arrives
                self._take(protocol, frame[14:])

    def _take(self, protocol: int, packet: bytes) -> None:
        if protocol != IPV4 or packet[9] != TCP:
            self.kinds[f"protocol {protocol:#x}/{packet[9] if protocol == IPV4 else '-'}"] += 1
            return
        self.kinds["tcp"] += 1
        segment = packet[(packet[0] & 15) * 4 : struct.unpack_from("!H", packet, 2)[0]]
        source, target, number = struct.unpack_from("!HHI", segment)
        if payload := segment[(segment[12] >> 4) * 4 :]:
            self.segments.setdefault((source, target), {})[number] = payload

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self._socket.close()

    def stream(self, flow: Flow) -> bytes:
        """What was said in one direction of a connection, put together again."""
        segments = self.segments[flow]
        at = min(segments)
        whole = b""
        while at in segments:
            whole, at = whole + segments[at], at + len(segments[at])
        return whole


def main(folder: Path) -> None:
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    capture = Capture()
    broker = Broker(folder)
    link = Link(folder, broker.port, interval_s=5, page_port=-1)
    ear = Ear(broker.port, "#")
    link.start()
    eye = FakeEye(link.socket)
    for _ in range(40):
        eye.count(3, 1)
    eye.deliver()
    link.stop()
    wait_for(lambda: [m for m in ear.messages("availability") if m["state"] == "stopped"], "the end")
    eye.close()
    heard = [(t, p.decode()) for t, p, _ in ear.heard]
    ear.close()
    broker.stop()
    capture.close()
    flows = {f: capture.stream(f) for f in capture.segments if f[1] == broker.port}
    (said,) = [stream for stream in flows.values() if b"nigiwai-ward-gate-1" in stream[:60]]
    ports = sorted({port for flow in capture.segments for port in flow if port < 32_768})
    told = {"kinds": capture.kinds, "ports": ports, "broker": broker.port, "said": said.hex(), "heard": heard}
    print(json.dumps(told))  # noqa: T201 # this is what it is for


if __name__ == "__main__":
    main(Path(sys.argv[1]))
