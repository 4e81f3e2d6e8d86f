# SPDX-License-Identifier: Apache-2.0
"""Static INT8: `python -m models.training.quantise CKPT OUT --cache CACHE` writes the INT8 file (and its FP32 twin).

Scheme: QDQ, activations unsigned, 8 bits, and weights signed per channel, 7 bits. Unsigned activations matter: ReLU
outputs use the whole range, and x86 VNNI multiplies unsigned by signed; signed activations took five times as long.
Weights use 7 of their 8 bits (-64..64): x86 processors without VNNI add two products in 16 bits, which holds
2 * 64 * 255 and no more; with 8 bits they cut sums off and find fewer people. So every processor finds the same.
The input's scale is fixed at 1/255 with zero point 0, so that the camera's bytes are the quantised input and no
conversion is left in the graph. The three output convolutions stay in float: they are under 1 % of the work, and the
range of their logits is too wide for 8 bits per tensor. The file takes the camera's bytes as they lie (fold.py).
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static

from models.training.cache import ImageSet, load_set
from models.training.checkpoint import load_average
from models.training.errors import ModelFileError
from models.training.export import OUTPUTS, float_core, float_model
from models.training.fold import folded
from models.training.net import Net

INPUT = {
    "scale": np.array(1 / 255, np.float32),
    "zero_point": np.array(0, np.uint8),
    "quant_type": QuantType.QUInt8,
}
SHAPE: tuple[int | str, ...] = (1, 3, "height", "width")
METHODS = {
    "minmax": CalibrationMethod.MinMax,
    "percentile": CalibrationMethod.Percentile,
    "entropy": CalibrationMethod.Entropy,
}


@dataclass(frozen=True)
class Scheme:
    """One way to quantise: calibration method, its percentile, and the nodes that stay in float."""

    method: str = "minmax"
    percentile: float = 99.99
    float_nodes: tuple[str, ...] = OUTPUTS
    images: int = 128
    signed: bool = False  # signed activations: for comparison only
    narrow: bool = True  # weights of 7 bits


class Frames(CalibrationDataReader):  # type: ignore[misc]
    """Calibration input: images of a cached set as `pixels`, stretched to a shape near the device.s."""

    SIZE = (320, 256)  # width, height; one size, as histogram calibration wants

    def __init__(self, data: ImageSet, count: int, seed: int = 5) -> None:
        self._rows = self._read(data, random.Random(seed).sample(range(len(data)), min(count, len(data))))

    def _read(self, data: ImageSet, chosen: list[int]) -> Iterator[dict[str, NDArray[np.float32]]]:
        for index in chosen:
            image = cv2.resize(np.asarray(data.images[index]), self.SIZE)
            yield {"pixels": np.ascontiguousarray(image.transpose(2, 0, 1)[None], np.float32) / np.float32(255)}

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next input, None at the end."""
        return next(self._rows, None)


def quantised(net: Net, data: ImageSet, scheme: Scheme) -> onnx.ModelProto:
    """The INT8 model of a network, calibrated on `data`."""
    return calibrated(float_core(net), Frames(data, scheme.images), scheme)


def calibrated(
    model: onnx.ModelProto, inputs: CalibrationDataReader, scheme: Scheme, shape: Sequence[int | str] = SHAPE
) -> onnx.ModelProto:
    """The INT8 form of a `model` of float `pixels`, with ranges as `inputs` show them; `shape` as in `bytes_in`."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, str(source))
        quantize_static(
            source, target, inputs, quant_format=QuantFormat.QDQ, per_channel=True,
            reduce_range=scheme.narrow, activation_type=QuantType.QInt8 if scheme.signed else QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=list(scheme.float_nodes), calibrate_method=METHODS[scheme.method],
            extra_options={
                "CalibPercentile": scheme.percentile, "CalibMovingAverage": False,
                "TensorQuantOverrides": {"pixels": [INPUT]},
            },
        )  # fmt: skip
        return bytes_in(onnx.load(str(target)), shape)


def bytes_in(model: onnx.ModelProto, shape: Sequence[int | str] = SHAPE) -> onnx.ModelProto:
    """The model with `image` (uint8, of this shape) straight into DequantizeLinear, in place of `pixels` and its
    QuantizeLinear.

    Raises ModelFileError where the input's scale is not 1/255 or its zero point not 0.
    """
    graph = model.graph
    entry = next((n for n in graph.node if n.op_type == "QuantizeLinear" and n.input[0] == "pixels"), None)
    if entry is None:
        raise ModelFileError("quantised graph: `pixels` is not quantised")
    values = {w.name: onnx.numpy_helper.to_array(w) for w in graph.initializer}
    scale, zero = values[entry.input[1]], values[entry.input[2]]
    if abs(float(scale) * 255 - 1) > 1e-5 or int(zero) != 0 or zero.dtype != np.uint8:
        raise ModelFileError(f"quantised graph: input scale {float(scale)!r}, zero point {int(zero)!r}")
    for node in graph.node:
        for k, name in enumerate(node.input):
            if name == entry.output[0]:
                node.input[k] = "image"
    graph.node.remove(entry)
    graph.input[0].CopyFrom(helper.make_tensor_value_info("image", TensorProto.UINT8, shape))
    del graph.value_info[:]
    onnx.checker.check_model(model, full_check=True)
    return model


def main() -> None:
    """Command line of the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path, help="folder for nigiwai-person.int8.onnx and nigiwai-person.fp32.onnx")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--method", choices=sorted(METHODS), default=Scheme.method)
    parser.add_argument("--percentile", type=float, default=Scheme.percentile)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    net = load_average(args.checkpoint)
    scheme = Scheme(args.method, args.percentile)
    int8 = folded(quantised(net, load_set(args.cache, "train"), scheme))
    for name, model in (("int8", int8), ("fp32", float_model(net))):
        path = args.out / f"nigiwai-person.{name}.onnx"
        onnx.save(model, str(path))
        print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
