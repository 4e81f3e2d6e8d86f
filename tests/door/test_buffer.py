# SPDX-License-Identifier: Apache-2.0
from hypothesis import given
from hypothesis import strategies as st

from nigiwai.door.buffer import WINDOW, BinBuffer, merged
from nigiwai.door.records import Bin, Flag, GateCount

RUN = "a" * 32


def a_bin(sequence: int, entered: int = 0, left: int = 0) -> Bin:
    return Bin(
        run=RUN,
        first_sequence=sequence,
        sequence=sequence,
        start_ms=sequence * 5000,
        length_ms=5000,
        blind_ms=0,
        gates=(GateCount(gate="door", entered=entered, left=left),),
        flags=(),
    )


def take_all(buffer: BinBuffer) -> list[Bin]:
    taken = []
    while (ready := buffer.next_unsent()) is not None:
        buffer.sent(ready)
        taken.append(ready)
    return taken


def test_what_is_acknowledged_is_forgotten_and_the_rest_is_kept() -> None:
    buffer = BinBuffer()
    for i in (1, 2, 3):
        buffer.add(a_bin(i))
    assert [b.sequence for b in take_all(buffer)] == [1, 2, 3]
    buffer.acknowledge(RUN, 2)
    buffer.acknowledge("b" * 32, 1)
    buffer.unsend()
    assert [b.sequence for b in take_all(buffer)] == [1, 3]


def test_no_more_than_a_window_is_under_way() -> None:
    buffer = BinBuffer()
    for i in range(1, 101):
        buffer.add(a_bin(i))
    assert len(take_all(buffer)) == WINDOW
    assert take_all(buffer) == []


def test_a_full_buffer_merges_and_loses_no_count() -> None:
    buffer = BinBuffer(capacity=50)
    take_all(buffer)
    for i in range(1, 5001):
        buffer.add(a_bin(i, entered=i % 3, left=1))
    assert len(buffer) == 50
    assert buffer.lost == 0
    kept = []
    while len(buffer):
        for b in take_all(buffer):
            kept.append(b)
            buffer.acknowledge(b.run, b.sequence)
    assert sum(b.gates[0].entered for b in kept) == sum(i % 3 for i in range(1, 5001))
    assert sum(b.gates[0].left for b in kept) == 5000
    assert sum(b.length_ms for b in kept) == 5000 * 5000
    assert [b.first_sequence for b in kept[1:]] == [b.sequence + 1 for b in kept[:-1]]
    assert all((Flag.MERGED in b.flags) == (b.length_ms > 5000) for b in kept)


@given(st.integers(0, 40))
def test_a_bin_that_was_ever_sent_is_never_merged(sent: int) -> None:
    buffer = BinBuffer(capacity=40)
    for i in range(1, 41):
        buffer.add(a_bin(i))
    under_way = take_all(buffer)[:sent]
    buffer.unsend()
    for i in range(41, 200):
        buffer.add(a_bin(i))
    again = take_all(buffer)
    assert [b for b in under_way if b not in again] == []


def test_time_between_merged_bins_is_blind() -> None:
    later = a_bin(2).model_copy(update={"start_ms": 12_000, "flags": (Flag.DARK,)})
    both = merged(a_bin(1), later)
    assert (both.start_ms, both.length_ms, both.blind_ms) == (5000, 12_000, 2000)
    assert both.flags == (Flag.DARK, Flag.MERGED)
