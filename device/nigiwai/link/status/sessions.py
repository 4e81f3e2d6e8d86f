# SPDX-License-Identifier: Apache-2.0
"""Who may change something: the PIN of the device's label, and the sessions that it opens. Pure; time is an argument.

Guessing is slowed down twice. Each client waits longer after each wrong PIN (from the fourth on: 2, 4, 8 ... 300 s).
When many are wrong altogether, every further attempt is answered later, by seconds, but never refused for what others
did: a visitor who types nonsense, even from several phones, cannot lock the staff out.

Phones behind one router share its address, so an address alone is no client. What counts as one, in this order:

    a phone that signed in before    its mark is signed with a key of the device's: it keeps its own count and is not
                                     slowed down for the others, also after link was started anew
    a phone that opened the page     it got a mark for an hour: its own count of NEW_TRIES wrong PINs in all
    an address                       everybody else there, together

A program that throws its mark away gets NEW_AN_ADDRESS an hour from one address and NEW_AN_HOUR from all, so that it
gains NEW_AN_HOUR x NEW_TRIES guesses an hour at most, whatever addresses it has.
"""

import hashlib
import hmac
import ipaddress
import secrets
from collections import deque
from dataclasses import dataclass, field

from pydantic import SecretStr

FREE_TRIES = 3
LONGEST_WAIT_S = 300.0
FORGET_S = 3_600.0
CROWD = 20
"""Wrong PINs of the last ten minutes, from all clients, before everybody is answered more slowly."""

CROWD_WINDOW_S = 600.0
SLOWEST_S = 4.0
IDLE_S = 1_800.0
LONGEST_S = 43_200.0
MOST_SESSIONS = 32
MOST_CLIENTS = 4_096
HOUR_S = 3_600.0
NEW_TRIES = 5
NEW_AN_ADDRESS = 8
NEW_AN_HOUR = 24
PIN_PATTERN = r"^[0-9]{6,12}$"


@dataclass(slots=True)
class Session:
    """Somebody who typed the PIN. `who` names it in the audit log and opens nothing."""

    who: str
    csrf: str
    begun_s: float
    used_s: float


@dataclass(slots=True)
class _Client:
    wrong: int = 0
    until_s: float = 0.0
    last_s: float = 0.0


@dataclass(slots=True)
class _New:
    """A phone that opened the page: from where, when, and how many wrong PINs it has left."""

    address: str
    since_s: float
    left: int = NEW_TRIES


@dataclass(frozen=True, slots=True)
class Opened:
    """The PIN was right: the cookies of the session and of the phone."""

    cookie: str
    mark: str


@dataclass(frozen=True, slots=True)
class Refused:
    """It was not, or it is too early: seconds to wait."""

    wait_s: float
    wrong: bool


@dataclass
class Sessions:
    """Everything that is known of clients and sessions; in memory only, so a restart signs everybody out.

    secret: signs the marks of phones that signed in; the same after a restart, or they are strangers again.
    """

    pin: SecretStr | None
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    _sessions: dict[str, Session] = field(default_factory=dict)
    _new: dict[str, _New] = field(default_factory=dict)
    _clients: dict[str, _Client] = field(default_factory=dict)
    _wrong_s: deque[float] = field(default_factory=lambda: deque(maxlen=1_000))

    def slow_s(self, mark: str, now_s: float) -> float:
        """Seconds by which the next attempt is answered later, for what all clients did."""
        while self._wrong_s and now_s - self._wrong_s[0] >= CROWD_WINDOW_S:
            self._wrong_s.popleft()
        if self._signed(mark):
            return 0.0
        return min(SLOWEST_S, 0.25 * max(0, len(self._wrong_s) - CROWD))

    def wait_s(self, address: str, mark: str, now_s: float) -> float:
        """Seconds that this client has still to wait for what it did itself."""
        return max(0.0, self._client(address, mark, now_s).until_s - now_s)

    def meet(self, address: str, mark: str, now_s: float) -> str | None:
        """A mark for a phone that opens the page without one; None where it has one, or too many were given."""
        self._new = {d: new for d, new in self._new.items() if now_s - new.since_s < HOUR_S}
        if self.pin is None or self._signed(mark) or _digest(mark) in self._new:
            return None
        here = sum(new.address == address for new in self._new.values())
        if len(self._new) >= NEW_AN_HOUR or here >= NEW_AN_ADDRESS:
            return None
        given = secrets.token_urlsafe(32)
        self._new[_digest(given)] = _New(address, now_s)
        return given

    def key_of(self, address: str, mark: str, now_s: float) -> str:
        """What counts as one client: a phone that is known, else an address."""
        if self._signed(mark) or self._is_new(address, mark, now_s):
            return f"phone {_digest(mark)}"
        return f"address {address}"

    def _is_new(self, address: str, mark: str, now_s: float) -> bool:
        new = self._new.get(_digest(mark))
        return new is not None and new.left > 0 and new.address == address and now_s - new.since_s < HOUR_S

    def _signed(self, mark: str) -> bool:
        """Whether this device gave that mark to a phone that typed the PIN of now."""
        name, _, seal = mark.partition(".")
        return self.pin is not None and hmac.compare_digest(seal.encode(), self._seal(name).encode())

    def _seal(self, name: str) -> str:
        pin = self.pin.get_secret_value() if self.pin is not None else ""
        return hmac.new(self.secret, f"{pin} {name}".encode(), hashlib.sha256).hexdigest()

    def try_pin(self, typed: str, address: str, mark: str, now_s: float) -> Opened | Refused:
        """Opens a session where the PIN is right and this client need not wait."""
        if self.pin is None:
            return Refused(0.0, wrong=False)
        client = self._client(address, mark, now_s)
        if now_s < client.until_s:
            return Refused(client.until_s - now_s, wrong=False)
        client.last_s = now_s
        if not hmac.compare_digest(typed.encode(), self.pin.get_secret_value().encode()):
            if self._is_new(address, mark, now_s):
                self._new[_digest(mark)].left -= 1
            return self._wrong(client, now_s)
        client.wrong = 0
        return self._open(now_s)

    def _client(self, address: str, mark: str, now_s: float) -> _Client:
        key = self.key_of(address, mark, now_s)
        if key not in self._clients and len(self._clients) >= MOST_CLIENTS:
            oldest = min(self._clients, key=lambda k: self._clients[k].last_s)
            del self._clients[oldest]
        client = self._clients.setdefault(key, _Client(last_s=now_s))
        if now_s - client.last_s > FORGET_S:
            client.wrong = 0
        return client

    def _wrong(self, client: _Client, now_s: float) -> Refused:
        client.wrong += 1
        self._wrong_s.append(now_s)
        wait_s = 0.0 if client.wrong < FREE_TRIES else min(LONGEST_WAIT_S, 2.0 ** (client.wrong - FREE_TRIES + 1))
        client.until_s = now_s + wait_s
        return Refused(wait_s, wrong=True)

    def _open(self, now_s: float) -> Opened:
        if len(self._sessions) >= MOST_SESSIONS:
            del self._sessions[min(self._sessions, key=lambda k: self._sessions[k].used_s)]
        cookie, name = secrets.token_urlsafe(32), secrets.token_urlsafe(16)
        self._sessions[_digest(cookie)] = Session(_digest(cookie)[:8], secrets.token_urlsafe(24), now_s, now_s)
        return Opened(cookie, f"{name}.{self._seal(name)}")

    def find(self, cookie: str, now_s: float) -> Session | None:
        """The session of that cookie, if it is still open; using it keeps it open."""
        session = self._sessions.get(_digest(cookie))
        if session is None:
            return None
        if now_s - session.used_s > IDLE_S or now_s - session.begun_s > LONGEST_S:
            del self._sessions[_digest(cookie)]
            return None
        session.used_s = now_s
        return session

    def close(self, cookie: str) -> None:
        """Ends the session."""
        self._sessions.pop(_digest(cookie), None)


def csrf_matches(session: Session, token: str) -> bool:
    """Whether the token is this session's."""
    return hmac.compare_digest(session.csrf.encode(), token.encode())


def client_of(host: str) -> str:
    """One client: an IPv4 address, or the /64 of an IPv6 one, which a phone changes within at will."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return str(address) if address.version == 4 else str(ipaddress.ip_network((int(address) >> 64 << 64, 64)))


def _digest(secret: str) -> str:
    """What is kept of a cookie, so that a look into memory dumps or logs opens nothing."""
    return hashlib.sha256(secret.encode()).hexdigest()
