# SPDX-License-Identifier: Apache-2.0
"""Fetching one file: what comes, what is refused, and what each failure is called."""

import datetime
import http.server
import socket
import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from nigiwai.errors import ModelError
from nigiwai.lab import download
from nigiwai.lab.download import fetch, is_address
from tests.lab.servers import QuietFiles, serving

BODY = bytes(range(256)) * 1024


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


def answering(reply: Callable[[http.server.BaseHTTPRequestHandler], None]) -> type[http.server.BaseHTTPRequestHandler]:
    """A handler that answers every GET with `reply`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            reply(self)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    return Handler


def head(handler: http.server.BaseHTTPRequestHandler, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for key, value in headers.items():
        handler.send_header(key.replace("_", "-"), value)
    handler.end_headers()


def whole(handler: http.server.BaseHTTPRequestHandler) -> None:
    head(handler, Content_Length=str(len(BODY)))
    handler.wfile.write(BODY)


def test_a_file_comes_whole(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(BODY)
    with serving(partial(QuietFiles, directory=str(tmp_path))) as address:
        assert fetch(f"{address}/a.onnx") == BODY


def test_a_redirection_on_this_computer_is_followed() -> None:
    def reply(handler: http.server.BaseHTTPRequestHandler) -> None:
        whole(handler) if handler.path == "/there" else head(handler, 302, Location="/there")

    with serving(answering(reply)) as address:
        assert fetch(f"{address}/here") == BODY


def test_a_length_need_not_be_announced() -> None:
    def reply(handler: http.server.BaseHTTPRequestHandler) -> None:
        head(handler)
        handler.wfile.write(BODY)

    with serving(answering(reply)) as address:
        assert fetch(address) == BODY


@pytest.mark.parametrize(
    ("text", "expected"),
    [("https://a/b", True), ("HTTP://a", True), ("a.onnx", False), ("/tmp/https://x", False), ("", False)],
)
def test_addresses_and_paths(text: str, expected: bool) -> None:
    assert is_address(text) is expected


# Bad input


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://files.example/a.onnx", "http is not private; write https"),
        ("http://192.0.2.1/a.onnx", "http is not private"),
        ("ftp://files.example/a", "not an address that can be fetched"),
        ("https:///a", "not an address that can be fetched"),
        ("https://[::1/a", "not an address"),
        ("file:///etc/passwd", "not an address that can be fetched"),
    ],
)
def test_unsafe_addresses_are_not_opened(url: str, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        fetch(url)


@pytest.mark.parametrize("target", ["http://files.example/a", "file:///etc/passwd"])
def test_a_redirection_to_elsewhere_is_not_followed(target: str) -> None:
    with (
        serving(answering(lambda handler: head(handler, 302, Location=target))) as address,
        pytest.raises(ModelError, match=r"http is not private|not an address that can be fetched|302"),
    ):
        fetch(address)


@pytest.mark.parametrize("announce", [True, False])
def test_too_much_is_not_taken(announce: bool) -> None:
    def reply(handler: http.server.BaseHTTPRequestHandler) -> None:
        head(handler, **({"Content_Length": str(len(BODY))} if announce else {}))
        handler.wfile.write(BODY)

    with (
        serving(answering(reply)) as address,
        pytest.raises(ModelError, match=r"more than 100,000 bytes, which is no detector .* not taken"),
    ):
        fetch(address, size_max=100_000)


def test_an_answer_that_is_cut_off() -> None:
    def reply(handler: http.server.BaseHTTPRequestHandler) -> None:
        head(handler, Content_Length=str(len(BODY)))
        handler.wfile.write(BODY[:1000])

    with serving(answering(reply)) as address, pytest.raises(ModelError, match="cut off"):
        fetch(address)


def test_a_server_that_says_no() -> None:
    with (
        serving(answering(lambda handler: head(handler, 404))) as address,
        pytest.raises(ModelError, match=r"the server answers 404 .* or fetch the file elsewhere .* --from FILE"),
    ):
        fetch(address)


def test_nobody_there() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(ModelError, match=r"cannot be reached \(Connection refused\); check that this device"):
            fetch(f"http://127.0.0.1:{port}/a.onnx")


def test_a_server_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_SILENCE_MAX_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.raises(ModelError, match="no answer within"):
        fetch(f"http://127.0.0.1:{mute.getsockname()[1]}/a.onnx")


def test_a_server_that_drips() -> None:
    times = iter([0.0, 1.0, 901.0])
    with serving(answering(whole)) as address, pytest.raises(ModelError, match="not here after 15 minutes"):
        fetch(address, clock=lambda: next(times))


def test_a_certificate_that_nobody_vouches_for(tmp_path: Path) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(self_signed(tmp_path))
    with serving(answering(whole), tls) as address, pytest.raises(ModelError, match="certificate is not trusted here"):
        fetch(f"{address}/a.onnx")


def self_signed(folder: Path) -> Path:
    """A file with a key and a certificate for 127.0.0.1 that is in no store."""
    x509 = pytest.importorskip("cryptography.x509", reason="cryptography is not installed")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    form = serialization.Encoding.PEM
    secret = key.private_bytes(form, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "server.pem"
    path.write_bytes(secret + certificate.public_bytes(form))
    return path
