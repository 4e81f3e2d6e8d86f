# SPDX-License-Identifier: Apache-2.0
"""One connection to one broker, from its first packet to its last. paho-mqtt stands behind it.

Each connection is a fresh client. paho keeps QoS 1 messages that were under way and sends them again by itself after it
has connected again, and even keeps one whose publish() reported "not connected"; the ledger sends them again as well,
and a record would go out twice. A client that never connects twice has nothing to repeat.

paho's thread only puts events into a queue; everything else happens on link's own thread.
"""

import contextlib
import queue
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions
from pydantic import SecretStr

from nigiwai.enrol.trouble import Trouble
from nigiwai.errors import BrokerError
from nigiwai.settings import Mqtt, Sparkplug, read_secret

CONNECT_TIMEOUT_S = 5.0
_MAX_REQUEST_BYTES = 4_096
_MAX_WAITING = 1_000


@dataclass(frozen=True, slots=True)
class Connected:
    """The broker accepted us."""


@dataclass(frozen=True, slots=True)
class Lost:
    """There is no connection any more, or none came about. `refused`: the broker does not want us."""

    why: str
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """The broker answered a publish: taken, or not."""

    mid: int
    taken: bool
    why: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A request came."""

    topic: str
    payload: bytes
    retained: bool


@dataclass(frozen=True, slots=True)
class Flooded:
    """Requests came that were too large or too many to be looked at."""

    count: int


Happening = Connected | Lost | Answered | Asked | Flooded


@dataclass(frozen=True, slots=True)
class Address:
    """Where a broker listens."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker says for us when we are gone without a word."""

    topic: str
    payload: bytes
    retain: bool = True


Access = Mqtt | Sparkplug
"""How a broker is entered."""


class Connection:
    """Connects in the background; what happens is read with `happenings`."""

    def __init__(self, address: Address, settings: Access, client_id: str, will: Will) -> None:
        self.address = address
        self._settings = settings
        self._events: queue.SimpleQueue[Happening] = queue.SimpleQueue()
        self._first: list[Happening] = []
        self._closed = False
        self._flooded = 0
        self._client = _client(settings, client_id, will)
        self._client.on_nonsense = lambda: self._events.put(Lost("what it says is no MQTT"))
        self._client.on_socket_open = lambda _c, _d, opened: _send_at_once(opened)
        self._client.on_connect = lambda _c, _d, _f, reason, _p: self._on_connect(reason)
        self._client.on_disconnect = lambda _c, _d, _f, reason, _p: self._events.put(Lost(str(reason)))
        self._client.on_publish = lambda _c, _d, mid, reason, _p: self._on_publish(mid, reason)
        self._client.on_message = lambda _c, _d, m: self._on_message(m)
        self._connecting = threading.Thread(target=self._connect, name="mqtt-connect", daemon=True)
        self._connecting.start()

    def wait(self, timeout_s: float) -> None:
        """Waits until something happens, at most so long."""
        with contextlib.suppress(queue.Empty):
            self._first.append(self._events.get(timeout=timeout_s))

    def happenings(self) -> list[Happening]:
        """What happened since the last call."""
        found, self._first = self._first, []
        while not self._events.empty():
            found.append(self._events.get_nowait())
        if self._flooded:
            flooded, self._flooded = self._flooded, 0
            found.append(Flooded(flooded))
        return found

    def publish(self, topic: str, payload: bytes, *, retain: bool = False, qos: int = 1) -> int | None:
        """Sends; the number by which the broker's answer is known, None if it could not be sent."""
        sent = self._client.publish(topic, payload, qos=qos, retain=retain)
        return sent.mid if sent.rc == MQTTErrorCode.MQTT_ERR_SUCCESS else None

    def subscribe(self, pattern: str) -> None:
        """Asks for what comes under `pattern` from here on; not for what was retained before, where MQTT 5 allows."""
        if self._settings.version == "5":
            options = SubscribeOptions(qos=1, retainAsPublished=True, retainHandling=2)
            self._client.subscribe(pattern, options=options)
        else:
            self._client.subscribe(pattern, qos=1)

    def close(self) -> None:
        """Says good-bye if it can, and ends the thread."""
        self._closed = True
        self._client.disconnect()
        if not self._connecting.is_alive():
            self._client.loop_stop()

    def _connect(self) -> None:
        properties = None
        if self._settings.version == "5":
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho's is untyped
            properties.MaximumPacketSize = 2 * _MAX_REQUEST_BYTES
        try:
            self._client.connect(
                self.address.host, self.address.port, self._settings.keepalive_s, properties=properties
            )
        except (OSError, ValueError) as e:
            self._events.put(Lost(explain(e)))
            return
        if self._closed:
            self._client.disconnect()
        else:
            self._client.loop_start()

    def _on_connect(self, reason: ReasonCode) -> None:
        self._events.put(Lost(str(reason), refused=True) if reason.is_failure else Connected())

    def _on_publish(self, mid: int, reason: ReasonCode) -> None:
        self._events.put(Answered(mid, not reason.is_failure, str(reason)))

    def _on_message(self, message: paho.MQTTMessage) -> None:
        if len(message.payload) <= _MAX_REQUEST_BYTES and self._events.qsize() < _MAX_WAITING:
            self._events.put(Asked(message.topic, bytes(message.payload), bool(message.retain)))
        else:
            self._flooded += 1


def _send_at_once(opened: Any) -> None:
    """A record that follows the totals does not wait for their acknowledgement (Nagle's algorithm, RFC 896)."""
    with contextlib.suppress(OSError, AttributeError):
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


_NOT_YET_VALID, _EXPIRED = 9, 10
"""X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED of OpenSSL's x509_vfy.h."""


def explain(error: Exception) -> str:
    """What went wrong, without a traceback."""
    if isinstance(error, ssl.SSLCertVerificationError) and error.verify_code == _NOT_YET_VALID:
        return f"{Trouble.CLOCK}: its certificate begins later than this clock says; it connects once that is set"
    if isinstance(error, ssl.SSLCertVerificationError) and error.verify_code == _EXPIRED:
        return f"{Trouble.SITE_OVER}: its certificate has expired, or this clock is ahead; headquarters makes it again"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not from mqtt.ca_file ({error.verify_message})"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed ({error.reason or error})"
    if isinstance(error, OSError):
        return error.strerror or str(error)
    return str(error)


class _Client(paho.Client):
    """A client whose thread ends with a word and not with a traceback, whatever the other side sends."""

    on_nonsense: Callable[[], None]

    def loop_forever(self, timeout: float = 1.0, retry_first_connection: bool = False) -> MQTTErrorCode:
        """Reads and writes until the connection is over."""
        try:
            return super().loop_forever(timeout, retry_first_connection)
        except Exception:  # noqa: BLE001 # paho trusts lengths, properties and topics that anybody may send
            self.on_nonsense()
            return MQTTErrorCode.MQTT_ERR_PROTOCOL


def _client(settings: Access, client_id: str, will: Will) -> _Client:
    five = settings.version == "5"
    client = _Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        protocol=paho.MQTTv5 if five else paho.MQTTv311,
        clean_session=None if five else True,
        reconnect_on_failure=False,
    )
    client.connect_timeout = CONNECT_TIMEOUT_S
    client.will_set(will.topic, will.payload, qos=1, retain=will.retain)
    if settings.username is not None:
        client.username_pw_set(settings.username, _password(settings))
    if settings.ca_file is not None:
        client.tls_set_context(tls_context(settings))
    return client


def _password(settings: Access) -> str | None:
    if settings.password_file is None:
        return None
    secret: SecretStr = read_secret(settings.password_file)
    return secret.get_secret_value()


def tls_context(settings: Access) -> ssl.SSLContext:
    """TLS 1.2 or later, the site's CA only, host names checked. Raises BrokerError that names the file."""
    section = type(settings).__name__.lower()
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_verify_locations(settings.ca_file)
    except (OSError, ssl.SSLError) as e:
        raise BrokerError(f"{section}.ca_file = {str(settings.ca_file)!r}: cannot be used ({explain(e)})") from None
    if settings.cert_file is not None and settings.key_file is not None:
        try:
            context.load_cert_chain(settings.cert_file, settings.key_file)
        except (OSError, ssl.SSLError) as e:
            raise BrokerError(
                f"{section}.cert_file = {str(settings.cert_file)!r}, {section}.key_file = {str(settings.key_file)!r}:"
                f" cannot be used ({explain(e)}); they must exist, be readable to link and belong together"
            ) from None
    return context
