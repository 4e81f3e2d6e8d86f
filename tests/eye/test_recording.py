# SPDX-License-Identifier: Apache-2.0
"""Recorded files as cameras."""

import threading
from pathlib import Path

import numpy as np
import pytest

from nigiwai.clock import BootNs
from nigiwai.door.records import CameraKind
from nigiwai.errors import CameraError, RecordingError
from nigiwai.eye.cameras.recording import Recording
from nigiwai.eye.types import Frame
from tests.eye.clips import cut, make_clip, number_of


class Time:
    """A clock that goes only when somebody waits or works, in whole milliseconds."""

    def __init__(self) -> None:
        self.now_ms = 7_000
        self.waits_ms: list[int] = []

    def clock(self) -> BootNs:
        return BootNs(self.now_ms * 1_000_000)

    def wait(self, seconds: float) -> None:
        self.waits_ms.append(round(seconds * 1000))
        self.now_ms += round(seconds * 1000)

    def open(self, path: Path, **how: object) -> Recording:
        return Recording(path, clock=self.clock, wait=self.wait, **how)  # type: ignore[arg-type]


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """20 frames, 10 a second."""
    return make_clip(tmp_path / "clip.mkv")


def numbers(recording: Recording, at_most: int = 1_000) -> list[int]:
    return [number_of(frame.image) for frame in frames(recording, at_most)]


def frames(recording: Recording, at_most: int = 1_000) -> list[Frame]:
    """The frames, each copied out of the recording's own memory."""
    out: list[Frame] = []
    while len(out) < at_most and (frame := recording.read(1.0)) is not None:
        out.append(Frame(frame.image.copy(), frame.at))
    return out


@pytest.mark.parametrize("ending", [".mkv", ".avi", ".mp4"])
def test_every_frame_in_order_with_its_time(tmp_path: Path, ending: str) -> None:
    recording = Recording(make_clip(tmp_path / f"clip{ending}"))
    got = frames(recording)
    assert [number_of(f.image) for f in got] == list(range(20))
    assert [recording.seconds(f.at) for f in got] == pytest.approx([i / 10 for i in range(20)])
    assert recording.read(1.0) is None
    assert recording.kind is CameraKind.RECORDING


def test_frames_are_bgr_pictures(clip: Path) -> None:
    frame = Recording(clip).read(1.0)
    assert frame is not None
    assert frame.image.shape == (48, 64, 3)
    assert frame.image.dtype == np.uint8
    assert (frame.width, frame.height) == (64, 48)


def test_the_header_tells_the_length(clip: Path) -> None:
    assert Recording(clip).length_s == pytest.approx(2.0)


def test_a_frame_is_good_until_the_next_read(clip: Path) -> None:
    """The memory is used in turn: not a new picture a frame, and never one that is still being looked at."""
    recording, places = Recording(clip), set()
    for i in range(20):
        frame = recording.read(1.0)
        assert frame is not None
        assert number_of(frame.image) == i
        places.add(frame.image.ctypes.data)
    assert len(places) < 10


def test_fast_never_waits(clip: Path) -> None:
    time = Time()
    assert len(numbers(time.open(clip, pace="fast"))) == 20
    assert time.waits_ms == []


def test_real_pace_waits_for_each_frame(clip: Path) -> None:
    time = Time()
    recording = time.open(clip, pace="real")
    got = frames(recording)
    assert [number_of(f.image) for f in got] == list(range(20))
    assert time.waits_ms == [100] * 19
    assert [f.at for f in got] == [BootNs((7_000 + 100 * i) * 1_000_000) for i in range(20)]


def test_real_pace_leaves_out_what_is_over(clip: Path) -> None:
    """A reader that takes 250 ms a frame sees the frame of that moment, as with a camera."""
    time = Time()
    recording, got = time.open(clip, pace="real"), []
    while (frame := recording.read(1.0)) is not None:
        got.append((number_of(frame.image), time.now_ms - 7_000))
        time.now_ms += 250
    assert got[:4] == [(0, 0), (2, 250), (5, 500), (7, 750)]


def test_loop_begins_again_with_time_going_on(clip: Path) -> None:
    recording = Recording(clip, loop=True)
    got = frames(recording, at_most=50)
    assert [number_of(f.image) for f in got] == [i % 20 for i in range(50)]
    assert [recording.seconds(f.at) for f in got] == pytest.approx([i / 10 for i in range(50)])


def test_loop_at_real_pace_keeps_the_pace(clip: Path) -> None:
    time = Time()
    assert numbers(time.open(clip, pace="real", loop=True), at_most=45) == [i % 20 for i in range(45)]
    assert time.now_ms == 7_000 + 44 * 100


def test_fps_thins_by_time(clip: Path) -> None:
    assert numbers(Recording(clip, fps=5)) == list(range(0, 20, 2))


def test_unequal_steps_are_kept(tmp_path: Path) -> None:
    """A Matroska file with its frames' times rewritten: 0, 100, then a pause of three seconds."""
    stamps_ms = [0, 100, 3100, 3150, 3300]
    path = retimed(make_clip(tmp_path / "even.mkv", frames=5), tmp_path / "uneven.mkv", stamps_ms)
    recording = Recording(path)
    assert [recording.seconds(f.at) for f in frames(recording)] == pytest.approx([s / 1000 for s in stamps_ms])


def retimed(path: Path, to: Path, stamps_ms: list[int]) -> Path:
    """A copy of a Matroska file of key frames whose SimpleBlocks have other times (RFC 9559, section 10.2).

    A SimpleBlock's body is track number (one byte 0x81), a 16-bit time relative to its cluster, flags, the JPEG.
    """
    data = bytearray(path.read_bytes())
    at = -1
    for stamp in stamps_ms:
        at = data.index(b"\xff\xd8\xff", at + 1)
        assert data[at - 4] == 0x81
        data[at - 3 : at - 1] = stamp.to_bytes(2, "big", signed=True)
    to.write_bytes(data)
    return to


def test_close_ends_a_wait_at_once(clip: Path) -> None:
    recording = Recording(clip, pace="real")
    assert recording.read(1.0) is not None
    got: list[Frame | None] = []
    waiting = threading.Thread(target=lambda: got.extend(iter(lambda: recording.read(1.0), None)))
    waiting.start()
    recording.close()
    waiting.join(timeout=10)
    assert not waiting.is_alive()
    assert recording.read(1.0) is None
    recording.close()


# Bad input


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"gone\.mp4: no such recording; give the path") as caught:
        Recording(tmp_path / "gone.mp4")
    assert isinstance(caught.value, CameraError)
    assert not caught.value.waiting_helps


def test_a_folder(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"Is a directory.*give a video file"):
        Recording(tmp_path)


def test_not_allowed(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(RecordingError, match=r"clip\.mkv: cannot be read \(Permission denied\)"):
        Recording(clip)


def test_empty(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    with pytest.raises(RecordingError, match=r"empty\.mp4: is empty; copy it again"):
        Recording(tmp_path / "empty.mp4")


@pytest.mark.parametrize("content", [b"hello", b"\0" * 5_000, b"RIFF\0\0\0\0AVI LIST", bytes(range(256)) * 40])
def test_no_video(tmp_path: Path, content: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "notes.mp4"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=r"notes\.mp4: .*not a video.*try it in a player"):
        frames(Recording(path))
    assert capfd.readouterr() == ("", "")


def test_cut_off_mp4_cannot_be_opened(tmp_path: Path) -> None:
    path = cut(make_clip(tmp_path / "whole.mp4"), tmp_path / "half.mp4", 0.6)
    with pytest.raises(RecordingError, match=r"half\.mp4: .*cut off"):
        Recording(path)


@pytest.mark.parametrize("ending", [".avi", ".mkv"])
def test_cut_off_gives_its_frames_and_then_says_so(
    tmp_path: Path, ending: str, capfd: pytest.CaptureFixture[str]
) -> None:
    path = cut(make_clip(tmp_path / f"whole{ending}"), tmp_path / f"half{ending}", 0.6)
    recording, got = Recording(path), list[int]()
    with pytest.raises(RecordingError, match=rf"half{ending}: ends after \d+ frames .* promises 20: cut off"):
        got.extend(number_of(frame.image) for frame in iter(lambda: recording.read(1.0), None))
    assert got == list(range(len(got)))
    assert len(got) >= 3
    assert capfd.readouterr() == ("", "")


def test_gone_while_it_loops(clip: Path) -> None:
    recording = Recording(clip, loop=True)
    clip.unlink()
    with pytest.raises(RecordingError, match="no such recording"):
        frames(recording)


# Real recordings


@pytest.mark.footage
@pytest.mark.parametrize(
    ("name", "count", "step_s", "last_s"),
    [
        # Its container has the right stamps on the wrong frames, and promises two frames more than it has.
        ("intel-people-detection.mp4", 594, 1 / 12, 49.4165),
        # Its header says 3 frames, its last frame has no stamp, its first step is a double one.
        ("caviar-one-leave-shop-corridor.mpg", 295, 0.04, 11.8),
        ("caviar-one-leave-shop-front.mpg", 295, 0.04, 11.8),
    ],
)
def test_real_recordings_run_evenly(footage: Path, name: str, count: int, step_s: float, last_s: float) -> None:
    recording = Recording(footage / name)
    times = [recording.seconds(f.at) for f in iter(lambda: recording.read(1.0), None)]
    assert len(times) == count
    assert times[-1] == pytest.approx(last_s, abs=0.001)
    assert np.diff(times)[1:] == pytest.approx(step_s, abs=0.0005)
