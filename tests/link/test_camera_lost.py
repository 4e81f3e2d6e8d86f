# SPDX-License-Identifier: Apache-2.0
"""A camera that is not there shows as such, not as a program that does not run. Real processes."""

import http.client
import json
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any

from nigiwai.lab.broker import free_port
from nigiwai.lab.demo import Part
from tests.conftest import house_settings
from tests.link.harness import wait_for


def camera_light(port: int) -> Any:
    with suppress(OSError), closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as asking:
        asking.request("GET", "/api/now")
        with closing(asking.getresponse()) as answer:
            return next((i for i in json.loads(answer.read()).get("lights", []) if i["subject"] == "camera"), None)
    return None


def test_eye_without_its_camera_says_so_until_it_has_one(tmp_path: Path, started: ExitStack) -> None:
    port = free_port()
    settings = house_settings(tmp_path, camera=f'source = "v4l2"\ndevice = "{tmp_path}/video9"', page_port=port)
    link = Part("link", settings)
    started.callback(link.close)
    wait_for(lambda: camera_light(port), "the page")
    assert camera_light(port)["cause"] == "eye_away", "no eye has ever been here"

    for _ in range(2):  # as systemd starts it again and again
        eye = Part("eye", settings)
        assert eye.process.wait(60) != 0
        assert "video9" in eye.why_it_ended()
        eye.close()
        wait_for(lambda: camera_light(port)["cause"] == "camera_lost", "the light to name the camera")
    assert camera_light(port)["light"] == "bad"

    clip = 'source = "recording"\npath = "{clip}"\nloop = true'
    found = Part("eye", house_settings(tmp_path, camera=clip, page_port=port))
    started.callback(found.close)
    wait_for(lambda: camera_light(port)["light"] == "ok", "the light to be green")
    found.process.kill()
    wait_for(lambda: camera_light(port)["cause"] == "eye_away", "a program that ended without a word")
