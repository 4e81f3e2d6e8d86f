# SPDX-License-Identifier: Apache-2.0
"""The right source for the settings, and network cameras."""

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nigiwai import settings
from nigiwai.clock import BootNs
from nigiwai.door.records import CameraKind
from nigiwai.errors import CameraError, CameraSoftwareError
from nigiwai.eye.cameras import open_camera, rtsp
from nigiwai.eye.cameras.rtsp import RtspCamera, demand_answer, open_stream, parsed, shown
from tests.conftest import ROOT
from tests.eye.clips import make_clip


def test_a_recording_from_the_settings(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "clip.avi", frames=3)
    camera = open_camera(settings.Camera(source="recording", path=path, pace="fast", loop=True))
    assert [camera.read(1.0) is not None for _ in range(7)] == [True] * 7
    assert camera.kind is CameraKind.RECORDING


def test_a_usb_camera_from_the_settings() -> None:
    with pytest.raises(CameraError, match="/dev/video63: no such device"):
        open_camera(settings.Camera(source="v4l2", device="/dev/video63"))


def test_the_pis_camera_from_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "picamera2", None)  # the import fails, as where it is not installed
    with pytest.raises(CameraSoftwareError, match=r"picamera2.*apt install"):
        open_camera(settings.Camera(source="pi"))


@pytest.mark.parametrize("source", ["recording", "v4l2"])
def test_only_the_asked_sources_libraries_are_loaded(source: str) -> None:
    code = (
        "import sys\nfrom nigiwai import settings\nfrom nigiwai.eye.cameras import open_camera\n"
        "assert 'cv2' not in sys.modules\n"
        f"try: open_camera(settings.Camera(source={source!r}, path='/gone.mp4', device='/gone'))\n"
        "except Exception as e: print(type(e).__name__)\n"
        "print(sorted({m.partition('.')[0] for m in sys.modules} & {'cv2', 'picamera2', 'libcamera', 'onnxruntime'}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(ROOT / "device")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[1] == "['cv2']"
    assert done.stderr == ""


# Network cameras


class FakeCapture:
    """Gives so many pictures, then none."""

    def __init__(self, pictures: int, opened: bool = True) -> None:
        self._left, self._opened = pictures, opened
        self.released = False

    def isOpened(self) -> bool:  # noqa: N802
        return self._opened

    def read(self, image: Any = None) -> tuple[bool, Any]:
        self._left -= 1
        return self._left >= 0, np.zeros((4, 4, 3), np.uint8) if image is None else image

    def release(self) -> None:
        self.released = True


def ticking(step_ms: int) -> Any:
    times = iter(range(1_000, 1_000_000, step_ms))
    return lambda: BootNs(next(times) * 1_000_000)


def test_pictures_are_stamped_when_they_arrive() -> None:
    camera = RtspCamera(FakeCapture(3), "rtsp://camera/live", clock=ticking(40))
    assert [camera.seconds(camera.read().at) for _ in range(3)] == [0.0, 0.04, 0.08]  # type: ignore[union-attr]
    assert camera.kind is CameraKind.NETWORK
    assert camera.length_s is None


def test_a_stream_is_thinned_by_time() -> None:
    camera = RtspCamera(FakeCapture(11), "rtsp://camera/live", fps=5, clock=ticking(100))
    assert [camera.seconds(camera.read().at) for _ in range(3)] == [0.0, 0.2, 0.4]  # type: ignore[union-attr]


def test_the_stream_breaks_off() -> None:
    camera = RtspCamera(FakeCapture(1), "rtsp://camera/live")
    camera.read()
    with pytest.raises(CameraError, match="rtsp://camera/live: gives no more pictures"):
        camera.read()


def test_closed() -> None:
    capture = FakeCapture(5)
    camera = RtspCamera(capture, "rtsp://camera/live")
    camera.close()
    assert camera.read() is None
    assert capture.released


SECRET = "rtsp://admin:hunter2@192.0.2.7:8554/live?user=admin&password=hunter2#hunter2"


def test_messages_keep_the_password_to_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ConnectionRefusedError(111, "Connection refused")

    with pytest.raises(CameraError) as refused:
        demand_answer(parsed(SECRET), refuse)
    monkeypatch.setattr(rtsp, "demand_answer", lambda _parts: None)
    monkeypatch.setattr(rtsp.cv2, "VideoCapture", lambda *_: FakeCapture(0, opened=False))
    with pytest.raises(CameraError) as silent:
        open_stream(SECRET)
    for caught in (refused, silent):
        assert str(caught.value).startswith("rtsp://192.0.2.7:8554/live: ")
        assert "hunter2" not in str(caught.value)
        assert "admin" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "Connection refused"),
        (TimeoutError(), "timed out"),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
    ],
)
def test_nobody_answers(error: OSError, words: str) -> None:
    def refuse(*_: object) -> None:
        raise error

    with pytest.raises(CameraError, match=rf"rtsp://camera/live: nobody answers \({words}\); check the address"):
        demand_answer(parsed("rtsp://camera/live"), refuse)


@pytest.mark.parametrize(
    ("address", "port"), [("rtsp://c/1", 554), ("rtsps://c/1", 322), ("rtsp://u:p@[::1]:8554/1", 8554)]
)
def test_the_port(address: str, port: int) -> None:
    asked: list[tuple[str, int]] = []

    def connect(where: tuple[str, int], _timeout_s: float) -> socket.socket:
        asked.append(where)
        return socket.socket()

    demand_answer(parsed(address), connect)
    assert asked[0][1] == port


def test_a_closed_port_for_real() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
    with pytest.raises(CameraError, match=rf"rtsp://127\.0\.0\.1:{port}/live: nobody answers"):
        open_stream(f"rtsp://u:p@127.0.0.1:{port}/live")


def test_an_ipv6_address_is_shown_in_brackets() -> None:
    assert shown(parsed("rtsp://u:p@[2001:db8::7]:8554/live")) == "rtsp://[2001:db8::7]:8554/live"


@pytest.mark.parametrize("address", ["http://c/1", "rtsp://c:port/1", "rtsp://c:99999/1", "rtsp://[::1/x", "file.mp4"])
def test_no_address_of_a_network_camera(address: str) -> None:
    with pytest.raises(CameraError, match=r"address is rtsp://\[USER:PASSWORD@\]HOST") as caught:
        open_stream(address)
    assert address not in str(caught.value)


def test_no_host() -> None:
    with pytest.raises(CameraError, match="this one has no host"):
        open_stream("rtsp:///live")
