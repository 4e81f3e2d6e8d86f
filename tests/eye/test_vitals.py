# SPDX-License-Identifier: Apache-2.0
from nigiwai.clock import BootNs
from nigiwai.door.records import Flag
from nigiwai.eye.vitals import VitalsMeter, resident_kib

S = 1_000_000_000


def vitals(meter: VitalsMeter, at_s: float, **changes: object):  # type: ignore[no-untyped-def]
    fields = {"dropped": 0, "inferred": 0, "memory_kib": 1, "unacknowledged": 0, "lost": 0, "flags": ()} | changes
    return meter.vitals(BootNs(int(at_s * S)), **fields)  # type: ignore[arg-type]


def test_rate_and_latency_are_of_the_last_ten_seconds() -> None:
    meter = VitalsMeter()
    for i in range(100):
        meter.update(BootNs(i * S // 10), 500.0)  # 10 a second, slow
    for i in range(100, 201):
        meter.update(BootNs(i * S // 10), 30.0 if i % 20 else 90.0)
    now = vitals(meter, 20.0)
    assert now.fps_milli == 10_000
    assert (now.latency_median_ms, now.latency_p95_ms) == (30, 90)
    assert now.frames == 201


def test_a_silent_camera_has_no_rate() -> None:
    meter = VitalsMeter()
    meter.update(BootNs(0), 1.0)
    now = vitals(meter, 60.0, flags=[Flag.DARK, Flag.COVERED, Flag.DARK])
    assert (now.fps_milli, now.latency_median_ms) == (0, 0)
    assert now.flags == (Flag.COVERED, Flag.DARK)


def test_memory_is_measured() -> None:
    assert 5_000 < resident_kib() < 10_000_000
