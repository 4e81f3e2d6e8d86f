# SPDX-License-Identifier: Apache-2.0
"""A visitor with a program in their hand does not take the page away from the staff. A real server, real sockets."""

import contextlib
import http.client
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from nigiwai.lab.broker import free_port
from nigiwai.link.status import greeter, porter
from nigiwai.link.status.app import MOST_PER_CLIENT
from nigiwai.link.status.board import Board
from nigiwai.link.status.desk import Answer, Asked, Desk
from nigiwai.link.status.server import serving
from nigiwai.settings import parse
from tests.link.harness import wait_for

VISITOR, STAFF = "127.0.0.2", "127.0.0.3"
PIN = "314159"


@pytest.fixture
def page(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """Host and port of a page whose desk answers everything."""
    (tmp_path / "pin").write_text(PIN)
    desk, board, stop = Desk(), Board(), threading.Event()
    board.show({"site": "ward"})

    def carry_out(_asked: Asked) -> Answer:
        return Answer(body={"done": True})

    def loop() -> None:
        while not stop.wait(0.01):
            desk.serve(carry_out)

    serves = threading.Thread(target=loop)
    serves.start()
    settings = parse({"page": {"port": free_port(), "pin_file": str(tmp_path / "pin")}})
    with serving(settings, board, desk) as url:
        parts = urlsplit(url)
        yield str(parts.hostname), int(parts.port or 0)
    stop.set()
    serves.join()


def sign_in(page: tuple[str, int], pin: str, source: str) -> tuple[int, dict[str, object]]:
    asking = http.client.HTTPConnection(*page, timeout=20, source_address=(source, 0))
    with contextlib.closing(asking):
        asking.request("POST", "/api/staff/sign-in", json.dumps({"pin": pin}), {"content-type": "application/json"})
        answer = asking.getresponse()
        return answer.status, json.loads(answer.read())


def test_a_visitor_who_opens_hundreds_of_connections_keeps_nobody_out(page: tuple[str, int]) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(porter.MOST + 100):
            held = socket.create_connection(page, timeout=20, source_address=(VISITOR, 0))
            stack.callback(held.close)
        status, body = sign_in(page, PIN, STAFF)
        assert (status, body["signed_in"]) == (200, True)


def test_a_request_that_does_not_come_to_its_end_is_ended(
    page: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(porter, "WHOLE_S", 0.3)
    monkeypatch.setattr(porter, "LOOK_S", 0.05)
    for begun in (b"", b"GET / HTTP/1.1\r\nhost: x\r\n", b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nab"):
        with contextlib.closing(socket.create_connection(page, timeout=20)) as slow:
            slow.sendall(begun)
            with contextlib.suppress(ConnectionResetError):
                assert slow.recv(1) == b"", begun


def test_a_stream_that_lasts_is_left_alone(page: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(porter, "WHOLE_S", 0.2)
    monkeypatch.setattr(porter, "LOOK_S", 0.05)
    with contextlib.closing(socket.create_connection(page, timeout=2)) as stream:
        stream.sendall(b"GET /api/events HTTP/1.1\r\nhost: x\r\n\r\n")
        while b"ward" not in stream.recv(4_096):
            pass
        with pytest.raises(TimeoutError):
            stream.recv(1)


def test_one_address_does_not_take_all_the_streams(page: tuple[str, int]) -> None:
    def watch(source: str) -> int:
        asking = http.client.HTTPConnection(*page, timeout=20, source_address=(source, 0))
        stack.callback(asking.close)
        asking.request("GET", "/api/events")
        answer = asking.getresponse()
        stack.callback(answer.close)
        return answer.status

    with contextlib.ExitStack() as stack:
        assert [watch(VISITOR) for _ in range(MOST_PER_CLIENT + 1)] == [200] * MOST_PER_CLIENT + [503]
        assert watch(STAFF) == 200


def test_wrong_pins_in_parallel_do_not_queue_before_the_staff(page: tuple[str, int]) -> None:
    """One phone may try one at a time, and waits for what it did itself; nobody waits in a line of others."""
    answers: list[int] = []
    guessers = [threading.Thread(target=lambda: answers.append(sign_in(page, "000000", VISITOR)[0])) for _ in range(60)]
    for guesser in guessers:
        guesser.start()
    status, _ = sign_in(page, PIN, STAFF)
    for guesser in guessers:
        guesser.join()
    assert status == 200
    assert answers.count(401) <= 3
    assert answers.count(429) == 60 - answers.count(401)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nhost: x\r\n" + b"x-a: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: x\r\n" + b"".join(b"x-%d: 1\r\n" % i for i in range(90)) + b"\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /../../../etc/passwd HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /static/../app.py HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /static/%2e%2e%2fapp.py HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET /static/..\\app.py HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: evil.example\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
    ],
)
def test_what_is_malformed_or_from_elsewhere_is_refused_and_the_page_goes_on(
    page: tuple[str, int], sent: bytes
) -> None:
    with contextlib.closing(socket.create_connection(page, timeout=20)) as asking:
        asking.sendall(sent)
        answer = asking.recv(200)
    assert answer.split(b" ")[1][:1] == b"4", answer
    assert b"root:" not in answer
    assert sign_in(page, PIN, STAFF)[0] == 200


@pytest.fixture
def secure(tmp_path: Path) -> Iterator[tuple[tuple[str, int], ssl.SSLContext]]:
    """Host and port of a page over HTTPS, and what a phone that accepted its certificate trusts."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed (apt install openssl)")
    cert, key = tmp_path / "cert", tmp_path / "key"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
         "-subj", "/CN=nigiwai", "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True,
    )  # fmt: skip
    settings = parse({"page": {"port": free_port(), "cert_file": str(cert), "key_file": str(key)}})
    board = Board()
    board.show({"site": "ward"})
    context = ssl.create_default_context(cafile=str(cert))
    context.check_hostname = False
    with serving(settings, board, Desk()) as url:
        parts = urlsplit(url)
        yield (str(parts.hostname), int(parts.port or 0)), context
    wait_for(lambda: not any(t.name == "page" for t in threading.enumerate()), "the page to end")


def read_securely(where: tuple[str, int], context: ssl.SSLContext, source: str) -> object:
    asking = http.client.HTTPSConnection(*where, timeout=20, context=context, source_address=(source, 0))
    with contextlib.closing(asking):
        asking.request("GET", "/api/now")
        return json.loads(asking.getresponse().read())


def test_https_serves_tls_only(secure: tuple[tuple[str, int], ssl.SSLContext]) -> None:
    where, context = secure
    assert read_securely(where, context, STAFF) == {"site": "ward"}
    with contextlib.closing(socket.create_connection(where, timeout=20)) as plain:
        plain.sendall(b"GET /api/now HTTP/1.1\r\nhost: x\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert b"ward" not in plain.recv(4_096), "nothing is served in the clear there"


def test_a_request_that_comes_with_the_handshakes_last_words_is_answered(
    secure: tuple[tuple[str, int], ssl.SSLContext],
) -> None:
    """Many times: what a phone sends in one packet with its Finished must neither be lost nor be answered twice."""
    where, context = secure
    for _ in range(50):
        inward, outward = ssl.MemoryBIO(), ssl.MemoryBIO()
        talk = context.wrap_bio(inward, outward)
        with contextlib.closing(socket.create_connection(where, timeout=20)) as raw:
            with contextlib.suppress(ssl.SSLWantReadError):
                talk.do_handshake()
            raw.sendall(outward.read())
            while True:
                inward.write(raw.recv(16_384))
                try:
                    talk.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    continue
            talk.write(b"GET /api/now HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            raw.sendall(outward.read())  # Finished and the request together
            heard = b""
            while not heard.endswith(b"}"):
                inward.write(raw.recv(16_384))
                with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLZeroReturnError):
                    while piece := talk.read(16_384):
                        heard += piece
        assert heard.count(b"HTTP/1.1 200") == 1
        assert heard.endswith(b'{"site":"ward"}')


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01\x02\x00\x01\x00"], ids=["nothing", "half a hello"])
def test_a_handshake_that_stalls_is_ended(
    secure: tuple[tuple[str, int], ssl.SSLContext], monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(greeter, "GREET_S", 0.3)
    where, context = secure
    with contextlib.closing(socket.create_connection(where, timeout=20)) as mute:
        mute.sendall(said)
        with contextlib.suppress(ConnectionResetError):
            assert mute.recv(1) == b""
    assert read_securely(where, context, STAFF) == {"site": "ward"}


def test_handshakes_that_stall_are_few_and_keep_nobody_out(
    secure: tuple[tuple[str, int], ssl.SSLContext], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A visitor's program opens connections and says nothing; a staff phone's handshake goes through meanwhile."""
    monkeypatch.setattr(greeter, "GREET_S", 60.0)
    where, context = secure
    with contextlib.ExitStack() as stack:
        mute = [socket.create_connection(where, timeout=20, source_address=(VISITOR, 0)) for _ in range(300)]
        for held in mute:
            stack.callback(held.close)
        began = time.monotonic()
        assert read_securely(where, context, STAFF) == {"site": "ward"}
        assert time.monotonic() - began < greeter.GREET_S / 2, "at once, not when the others were thrown out"
        wait_for(lambda: standing(mute) <= greeter.MOST_GREETING, "the visitor's oldest to be ended")
        assert time.monotonic() - began < greeter.GREET_S / 2


def standing(connections: list[socket.socket]) -> int:
    """How many of these the other side has not ended."""
    there = 0
    for held in connections:
        held.setblocking(False)
        try:
            there += held.recv(1) != b""
        except BlockingIOError:
            there += 1
        except OSError:
            continue
    return there
