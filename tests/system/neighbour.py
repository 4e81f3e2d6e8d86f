# SPDX-License-Identifier: Apache-2.0
"""What the attacks reach for, run inside the test's machine: a listener, a name server that knows every name, a secret.

`neighbour.py PORT` says READY=1 to systemd and serves until it is ended. Plain Python, nothing else.
"""

import os
import selectors
import socket
import sys


def listening(family: int, address: object) -> socket.socket:
    serving = socket.socket(family, socket.SOCK_STREAM)
    serving.bind(address)  # type: ignore[arg-type]
    serving.listen(16)
    return serving


def datagrams(port: int) -> socket.socket:
    serving = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    serving.bind(("127.0.0.1", port))
    return serving


def answer_of(question: bytes) -> bytes:
    """127.0.0.1 for every A question, nothing for every other (RFC 1035)."""
    end = question.index(b"\0", 12) + 5
    is_a = question[end - 4 : end - 2] == b"\0\1"
    head = question[:2] + b"\x81\x80\0\1" + (b"\0\1" if is_a else b"\0\0") + b"\0\0\0\0" + question[12:end]
    return head + b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x7f\0\0\1" if is_a else head


def main() -> None:
    port = int(sys.argv[1])
    names = datagrams(53)
    serving = [
        listening(socket.AF_INET, ("127.0.0.1", port)),
        listening(socket.AF_INET6, ("::1", port)),
        listening(socket.AF_UNIX, f"\0nigiwai-test-{port}"),
        datagrams(port),
        names,
    ]
    waiting = selectors.DefaultSelector()
    for each in serving:
        waiting.register(each, selectors.EVENT_READ)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"].replace("@", "\0", 1))
    while True:
        for key, _ in waiting.select():
            ready = key.fileobj
            assert isinstance(ready, socket.socket)
            if ready.type == socket.SOCK_STREAM:
                ready.accept()[0].close()
                continue
            packet, sender = ready.recvfrom(2048)
            if ready is names:
                names.sendto(answer_of(packet), sender)


if __name__ == "__main__":
    main()
