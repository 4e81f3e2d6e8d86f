# SPDX-License-Identifier: Apache-2.0
"""The reference detectors as functions from a BGR image to person boxes: peers in tables, teachers in training.

Inputs and decodings differ by model (YOLOX: github.com/Megvii-BaseDetection/YOLOX, NanoDet-Plus:
github.com/RangiLyu/nanodet, PicoDet: github.com/PaddlePaddle/PaddleDetection); all three were trained on COCO and
their class 0 is `person`. Images are scaled into the top left corner of 416x416 on grey, as YOLOX does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from models.training.boxes import Floats, nms
from models.training.errors import ModelFileError

SIDE_PX = 416
GREY = 114
MEAN = np.array([103.53, 116.28, 123.675], np.float32)  # BGR, ImageNet, as both model zoos give it
STD = np.array([57.375, 57.12, 58.395], np.float32)

Raw = list[Floats]


@dataclass(frozen=True)
class Found:
    """Boxes `xyxy (N, 4)` in pixels of the image that was given, and `score (N,)` 0..1, best first."""

    xyxy: Floats
    score: Floats


@dataclass(frozen=True)
class Fit:
    """How an image lies in a network's input: scaled into the top left corner, the rest grey. Sizes in pixels."""

    width: int
    height: int

    def scale(self, image: NDArray[np.uint8]) -> float:
        """Input pixels per image pixel."""
        return float(min(self.width / image.shape[1], self.height / image.shape[0]))

    def apply(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The input picture (height, width, 3)."""
        scale = self.scale(image)
        size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
        out = np.full((self.height, self.width, 3), GREY, np.uint8)
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        out[: size[1], : size[0]] = cv2.resize(image, size, interpolation=how)
        return out


def best_of(xyxy: Floats, score: Floats, image: NDArray[np.uint8], score_min: float, iou_max: float) -> Found:
    """Boxes in image pixels above a score, clipped to the image, after non-maximum suppression."""
    keep = score > score_min
    xyxy, score = xyxy[keep], score[keep]
    best = nms(xyxy, score, iou_max)
    limit = np.tile([image.shape[1], image.shape[0]], 2)
    return Found(xyxy[best].clip(0, limit).astype(np.float32), score[best].astype(np.float32))


def grid(strides: tuple[int, ...], width_px: int, height_px: int, offset: float) -> tuple[Floats, Floats]:
    """Anchor points (A, 2) in pixels and the stride (A,) of each, level by level, row by row."""
    points, steps = [], []
    for stride in strides:
        columns, rows = -(-width_px // stride), -(-height_px // stride)
        y, x = np.mgrid[:rows, :columns].astype(np.float32)
        points.append((np.stack((x, y), -1).reshape(-1, 2) + offset) * stride)
        steps.append(np.full(rows * columns, stride, np.float32))
    return np.concatenate(points).astype(np.float32), np.concatenate(steps)


def expectation(bins: Floats) -> Floats:
    """Distances (A, 4) in strides: the mean of each side's softmax over 8 bins; `bins (A, 32)` are logits."""
    logits = bins.reshape(-1, 4, 8)
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    return np.asarray(weights @ np.arange(8, dtype=np.float32), np.float32)


def _around(points: Floats, distance: Floats) -> Floats:
    return np.concatenate((points - distance[:, :2], points + distance[:, 2:]), 1)


def decode_yolox(raw: Raw) -> tuple[Floats, Floats]:
    """Boxes (A, 4) on the 416 square and scores (A,) of YOLOX's single output."""
    out = raw[0].reshape(-1, 85)
    points, step = grid((8, 16, 32), SIDE_PX, SIDE_PX, 0.0)
    centre = points + out[:, :2] * step[:, None]
    half = np.exp(out[:, 2:4]) * step[:, None] / 2
    return np.concatenate((centre - half, centre + half), 1), out[:, 4] * out[:, 5]


def decode_nanodet(raw: Raw) -> tuple[Floats, Floats]:
    """The same of NanoDet-Plus: distributions around cell corners, four strides."""
    out = raw[0].reshape(-1, 112)
    points, step = grid((8, 16, 32, 64), SIDE_PX, SIDE_PX, 0.0)
    return _around(points, expectation(out[:, 80:]) * step[:, None]), out[:, 0]


def decode_picodet(raw: Raw) -> tuple[Floats, Floats]:
    """The same of PicoDet: four class and four box outputs, distributions around cell centres."""
    score = np.concatenate([r.reshape(-1, 80)[:, 0] for r in raw[:4]])
    bins = np.concatenate([r.reshape(-1, 32) for r in raw[4:]])
    points, step = grid((8, 16, 32, 64), SIDE_PX, SIDE_PX, 0.5)
    return _around(points, expectation(bins) * step[:, None]), score


DECODERS: dict[str, tuple[Callable[[Raw], tuple[Floats, Floats]], bool]] = {
    "yolox-nano-416": (decode_yolox, False),
    "nanodet-plus-m-416": (decode_nanodet, True),
    "picodet-s-416": (decode_picodet, True),
}


def open_session(path: Path, threads: int = 2) -> ort.InferenceSession:
    """A CPU session. Weights listed as graph inputs are taken off the list, else ONNX Runtime cannot fold them.

    Raises ModelFileError where the file is absent or no ONNX model.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # spinning starves its neighbours
    try:
        model = onnx.load(str(path))
    except Exception as cause:  # onnx raises protobuf's own errors, which differ by backend
        raise ModelFileError(f"{path}: not a readable ONNX model ({cause})") from cause
    weights = {w.name for w in model.graph.initializer}
    inputs = [i for i in model.graph.input if i.name not in weights]
    del model.graph.input[:]
    model.graph.input.extend(inputs)
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def laid_out(session: ort.InferenceSession, pictures: NDArray[Any]) -> NDArray[Any]:
    """Pictures (N, height, width, 3) as the session takes them: as they are, or (N, 3, height, width)."""
    as_they_are = session.get_inputs()[0].shape[-1] == pictures.shape[-1]
    return np.ascontiguousarray(pictures if as_they_are else pictures.transpose(0, 3, 1, 2))


class Reference:
    """One of the three reference detectors on the CPU."""

    def __init__(self, path: Path, threads: int = 2) -> None:
        if path.stem not in DECODERS:
            raise ModelFileError(f"{path}: unknown reference model; known: {', '.join(DECODERS)}")
        self.name = path.stem
        self._decode, self._normalise = DECODERS[path.stem]
        self._session = open_session(path, threads)
        self._input = self._session.get_inputs()[0].name

    def detect(self, image: NDArray[np.uint8], score_min: float = 0.02, iou_max: float = 0.6) -> Found:
        """People in a BGR image (H, W, 3) of any size."""
        fit = Fit(SIDE_PX, SIDE_PX)
        pixels = fit.apply(image).astype(np.float32)
        if self._normalise:
            pixels = (pixels - MEAN) / STD
        tensor = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)
        xyxy, score = self._decode(self._session.run(None, {self._input: tensor}))
        return best_of(xyxy / fit.scale(image), score, image, score_min, iou_max)
