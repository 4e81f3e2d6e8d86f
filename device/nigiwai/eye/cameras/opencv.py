# SPDX-License-Identifier: Apache-2.0
"""OpenCV set up for a service: silent, and never waiting long.

OpenCV and FFmpeg write to the process's stderr from C; the cameras say in one sentence what went wrong instead. Both
take their settings from the environment when the first camera or recording is opened. What the caller's environment
sets is respected.
"""

import os

V4L2_TIMEOUT_S = 4
"""How long a USB camera may take for one picture; OpenCV's own default is 10 s, longer than a dead camera deserves."""

os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # AV_LOG_QUIET
os.environ.setdefault("OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT", str(V4L2_TIMEOUT_S))

import cv2  # noqa: E402 - after its settings

if "OPENCV_LOG_LEVEL" not in os.environ:
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)

__all__ = ["V4L2_TIMEOUT_S", "cv2"]
