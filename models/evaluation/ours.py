# SPDX-License-Identifier: Apache-2.0
"""Our own detector from its ONNX file, by the contract of the export: bytes in, three maps out, decoded here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.evaluation.reference import Fit, Found, Raw, best_of, expectation, grid, laid_out, open_session
from models.training.boxes import Floats
from models.training.errors import ModelFileError

STRIDES = (8, 16, 32)


def decode(raw: Raw, width: int, height: int) -> tuple[Floats, Floats]:
    """Boxes (A, 4) in input pixels and scores (A,) of the three output maps (1, 33, H/s, W/s)."""
    rows = np.concatenate([r[0].reshape(r.shape[1], -1).T for r in raw])
    points, step = grid(STRIDES, width, height, 0.5)
    distance = expectation(rows[:, 1:]) * step[:, None]
    boxes = np.concatenate((points - distance[:, :2], points + distance[:, 2:]), 1)
    return boxes.astype(np.float32), (1 / (1 + np.exp(-rows[:, 0]))).astype(np.float32)


class Ours:
    """The detector at one input size, which must be a multiple of 32 both ways."""

    def __init__(self, path: Path, width: int = 320, height: int = 320, threads: int = 2) -> None:
        if width % 32 or height % 32:
            raise ModelFileError(f"input size {width}x{height}: both must be multiples of 32")
        self.name, self.fit = f"{path.stem} {width}x{height}", Fit(width, height)
        self._session = open_session(path, threads)
        names = [i.name for i in self._session.get_inputs()], [o.name for o in self._session.get_outputs()]
        if names != (["image"], ["s8", "s16", "s32"]):
            raise ModelFileError(f"{path}: inputs and outputs {names}, expected image and s8, s16, s32")

    def detect(self, image: NDArray[np.uint8], score_min: float = 0.02, iou_max: float = 0.6) -> Found:
        """People in a BGR image (H, W, 3) of any size."""
        tensor = laid_out(self._session, self.fit.apply(image)[None])
        xyxy, score = decode(self._session.run(None, {"image": tensor}), self.fit.width, self.fit.height)
        return best_of(xyxy / self.fit.scale(image), score, image, score_min, iou_max)
