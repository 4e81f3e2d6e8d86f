# SPDX-License-Identifier: Apache-2.0
"""The PIN: guessing is slow, staff are never locked out, sessions end."""

from collections.abc import Callable

import pytest
from pydantic import SecretStr

from nigiwai.link.status.sessions import (
    CROWD,
    FREE_TRIES,
    IDLE_S,
    LONGEST_S,
    LONGEST_WAIT_S,
    MOST_CLIENTS,
    MOST_SESSIONS,
    NEW_AN_ADDRESS,
    NEW_AN_HOUR,
    NEW_TRIES,
    SLOWEST_S,
    Opened,
    Refused,
    Sessions,
    csrf_matches,
)

PIN = "314159"


@pytest.fixture
def sessions() -> Sessions:
    return Sessions(SecretStr(PIN))


def opened(sessions: Sessions, address: str = "10.0.0.1", mark: str = "", now_s: float = 0.0) -> Opened:
    found = sessions.try_pin(PIN, address, mark, now_s)
    assert isinstance(found, Opened), found
    return found


def test_the_right_pin_opens_a_session(sessions: Sessions) -> None:
    session = sessions.find(opened(sessions).cookie, 1.0)
    assert session is not None
    assert csrf_matches(session, session.csrf)
    assert not csrf_matches(session, "")


def test_each_wrong_pin_makes_that_client_wait_longer(sessions: Sessions) -> None:
    waits, now_s = [], 0.0
    for _ in range(20):
        found = sessions.try_pin("000000", "10.0.0.9", "", now_s)
        assert isinstance(found, Refused)
        assert found.wrong
        waits.append(found.wait_s)
        now_s += found.wait_s
    assert waits[: FREE_TRIES + 3] == [0, 0, 2, 4, 8, 16]
    assert waits == sorted(waits)
    assert waits[-1] == LONGEST_WAIT_S


def test_too_early_is_refused_even_with_the_right_pin(sessions: Sessions) -> None:
    for _ in range(FREE_TRIES):
        sessions.try_pin("000000", "10.0.0.9", "", 0.0)
    found = sessions.try_pin(PIN, "10.0.0.9", "", 1.0)
    assert found == Refused(1.0, wrong=False)
    assert isinstance(sessions.try_pin(PIN, "10.0.0.9", "", 2.0), Opened)


def test_visitors_with_many_phones_slow_everybody_down_and_lock_nobody_out(sessions: Sessions) -> None:
    for i in range(500):
        sessions.try_pin("000000", f"10.0.{i // 250}.{i % 250}", "", i / 100)

    assert sessions.slow_s("", 5.0) == SLOWEST_S
    opened(sessions, "10.0.9.9", now_s=5.0)


def test_a_phone_that_signed_in_before_does_not_wait_for_others(sessions: Sessions) -> None:
    mark = opened(sessions, "10.0.0.1").mark
    for i in range(CROWD * 3):
        sessions.try_pin("000000", f"10.0.0.{i % 30}", "", 1.0)  # visitors, one of them behind the same address

    assert sessions.slow_s(mark, 2.0) == 0.0
    opened(sessions, "10.0.0.1", mark, 2.0)
    assert sessions.slow_s("made-up", 2.0) > 0.0


def test_a_phone_that_signed_in_is_known_after_a_restart_and_not_after_another_pin() -> None:
    mark = opened(Sessions(SecretStr(PIN), b"key"), "10.0.0.1").mark

    again = Sessions(SecretStr(PIN), b"key")
    assert again.key_of("10.0.0.1", mark, 0.0).startswith("phone")
    for _ in range(50):
        again.try_pin("000000", "10.0.0.1", "", 0.0)  # a visitor behind the same router
    opened(again, "10.0.0.1", mark, 1.0)

    for other in (Sessions(SecretStr("271828"), b"key"), Sessions(SecretStr(PIN), b"another key")):
        assert other.key_of("10.0.0.1", mark, 0.0) == "address 10.0.0.1"


@pytest.mark.parametrize("change", [lambda m: m[1:], lambda m: m[:-1], lambda m: "." + m, lambda m: m.split(".")[0]])
def test_a_mark_that_was_tampered_with_is_none(sessions: Sessions, change: Callable[[str], str]) -> None:
    assert sessions.key_of("10.0.0.1", change(opened(sessions).mark), 0.0) == "address 10.0.0.1"


def test_a_known_phone_that_guesses_waits_like_any_other(sessions: Sessions) -> None:
    mark = opened(sessions).mark
    waits = [sessions.try_pin("000000", "10.0.0.1", mark, 0.0) for _ in range(FREE_TRIES + 1)]
    assert waits[-2:] == [Refused(2.0, wrong=True), Refused(2.0, wrong=False)]


def test_a_visitor_behind_the_same_router_keeps_no_new_phone_out(sessions: Sessions) -> None:
    """Both opened the page, so each has its own count; and a visitor's that is used up falls back to the address."""
    visitor = sessions.meet("10.0.0.1", "", 0.0)
    staff = sessions.meet("10.0.0.1", "", 1.0)
    assert visitor
    assert staff
    now_s, tried = 2.0, 0
    while tried < NEW_TRIES + 4:
        found = sessions.try_pin("000000", "10.0.0.1", visitor, now_s)
        assert isinstance(found, Refused)
        tried += found.wrong
        now_s += max(found.wait_s, 0.1)
    assert sessions.key_of("10.0.0.1", visitor, now_s) == "address 10.0.0.1", "its own count is used up"

    assert sessions.wait_s("10.0.0.1", "", now_s - 1) > 0, "the address waits"
    opened(sessions, "10.0.0.1", staff, now_s - 1)


def test_a_mark_for_new_phones_is_for_an_hour_and_its_address(sessions: Sessions) -> None:
    mark = sessions.meet("10.0.0.1", "", 0.0)
    assert mark
    assert sessions.meet("10.0.0.1", mark, 1.0) is None, "it has one"
    assert sessions.key_of("10.0.0.1", mark, 3_599.0).startswith("phone")
    assert sessions.key_of("10.0.0.2", mark, 1.0) == "address 10.0.0.2"
    assert sessions.key_of("10.0.0.1", mark, 3_600.0) == "address 10.0.0.1"


@pytest.mark.parametrize(("addresses", "most"), [(1, NEW_AN_ADDRESS), (50, NEW_AN_HOUR)])
def test_a_program_that_throws_its_marks_away_gains_little(sessions: Sessions, addresses: int, most: int) -> None:
    """A day of guessing as fast as it is answered, with a new mark whenever one is given; the addresses' own guesses
    aside, which it has without marks as well.
    """
    with_marks, day_s = 0, 86_400.0
    at_s = dict.fromkeys((f"10.0.1.{i}" for i in range(addresses)), 0.0)
    marks = dict.fromkeys(at_s, "")
    while (now_s := min(at_s.values())) < day_s:
        address = next(a for a, t in at_s.items() if t == now_s)
        marks[address] = sessions.meet(address, "", now_s) or marks[address]
        own = sessions.key_of(address, marks[address], now_s).startswith("phone")
        found = sessions.try_pin("000000", address, marks[address], now_s)
        assert isinstance(found, Refused)
        with_marks += own and found.wrong
        at_s[address] += 1.0 if own else max(1.0, found.wait_s)
    assert with_marks <= most * NEW_TRIES * 24
    assert len(sessions._new) <= NEW_AN_HOUR


def test_slowness_is_forgotten(sessions: Sessions) -> None:
    for i in range(100):
        sessions.try_pin("000000", f"10.0.0.{i}", "", 0.0)
    assert sessions.slow_s("", 601.0) == 0.0


def test_sessions_end_when_idle_and_after_a_day_of_work(sessions: Sessions) -> None:
    idle = opened(sessions).cookie
    assert sessions.find(idle, IDLE_S + 1) is None
    busy = opened(sessions, now_s=0.0).cookie
    last = 0.0
    while sessions.find(busy, last) is not None:
        last += IDLE_S / 2
    assert LONGEST_S < last <= LONGEST_S + IDLE_S


def test_signing_out_ends_it(sessions: Sessions) -> None:
    cookie = opened(sessions).cookie
    sessions.close(cookie)
    assert sessions.find(cookie, 1.0) is None
    assert sessions.find("", 1.0) is None


def test_memory_is_bounded(sessions: Sessions) -> None:
    for i in range(3 * MOST_CLIENTS):
        sessions.try_pin("000000", f"client {i}", "", i * 1.0)
    for i in range(10 * MOST_SESSIONS):
        opened(sessions, f"staff {i}", now_s=1e6 + i)
    assert len(sessions._clients) <= MOST_CLIENTS
    assert len(sessions._sessions) <= MOST_SESSIONS
    assert len(sessions._wrong_s) <= 1_000


def test_without_a_pin_nothing_opens() -> None:
    assert Sessions(None).try_pin("", "10.0.0.1", "", 0.0) == Refused(0.0, wrong=False)
