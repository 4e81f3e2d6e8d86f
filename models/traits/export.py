# SPDX-License-Identifier: Apache-2.0
"""Writes the trait model as ONNX, float and INT8: `python -m models.traits.export RUN/traits.pt OUT --rendered FILE`

Scheme as the detector's (models/training/quantise.py): QDQ, unsigned activations, weights signed per channel, bytes
straight into DequantizeLinear; the last layer stays in float. The batch is free: `image` uint8 (people, 3, 96, 48) BGR
-> `band` (people, 4), `sex` (people, 2), logits.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper
from onnxruntime.quantization import CalibrationDataReader

from models.training.export import Graph, checked, from_bytes
from models.training.quantise import Scheme, calibrated
from models.traits.crops import Crops, load
from models.traits.learn import centred, load_net
from models.traits.net import BANDS, HEIGHT, SEXES, WIDTH, TraitNet

NAME = "nigiwai-traits"
FLOAT_NODES = ("mixed", "band", "sex")
SHAPE = ("people", 3, HEIGHT, WIDTH)


def core(net: TraitNet) -> Graph:
    """The graph from `pixels` (float32, 0..1) to the two outputs; mirrors `TraitNet.forward`."""
    g = Graph()
    x = g.chain(g.unit("pixels", "stem", net.stem), "stages", list(net.stages))
    weight, bias = (_values(t) for t in (net.whole.weight, net.whole.bias))
    inputs = [x, g.constant("whole.weight", weight), g.constant("whole.bias", bias)]
    x = g.node("Conv", "whole", inputs, kernel_shape=list(weight.shape[2:]))
    x = g.node("Flatten", "mixed", [g.node("Relu", "whole.relu", [x])])
    weight, bias = (_values(t) for t in (net.out.weight, net.out.bias))
    first = 0
    for name, values in (("band", BANDS), ("sex", SEXES)):
        rows = slice(first, first + len(values))
        parts = [g.constant(f"{name}.weight", weight[rows].T.copy()), g.constant(f"{name}.bias", bias[rows])]
        g.node("Gemm", name, [x, *parts])
        first += len(values)
    return g


def _values(tensor: object) -> NDArray[np.float32]:
    return np.asarray(tensor.detach().numpy(), np.float32)  # type: ignore[attr-defined]


def model_of(graph: Graph, source: str, kind: int) -> onnx.ModelProto:
    """A checked model whose input is `source` of the element type `kind`."""
    image = helper.make_tensor_value_info(source, kind, ["people", 3, HEIGHT, WIDTH])
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["people", len(values)])
        for name, values in (("band", BANDS), ("sex", SEXES))
    ]
    return checked(graph, NAME, image, outputs)


def float_model(net: TraitNet) -> onnx.ModelProto:
    """The FP32 model: bytes in, conversion in the graph."""
    return model_of(from_bytes(core(net)), "image", TensorProto.UINT8)


class _People(CalibrationDataReader):  # type: ignore[misc]
    """Calibration input: people as the device would cut them."""

    def __init__(self, crops: Crops, count: int) -> None:
        chosen = np.random.default_rng(5).choice(len(crops), min(count, len(crops)), replace=False)
        self._rows = self._read(crops, chosen.tolist())

    def _read(self, crops: Crops, chosen: list[int]) -> Iterator[dict[str, NDArray[np.float32]]]:
        for i in chosen:
            image = centred(crops.image[i]).transpose(2, 0, 1)[None]
            yield {"pixels": np.ascontiguousarray(image, np.float32) / np.float32(255)}

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        """The next input, None at the end."""
        return next(self._rows, None)


def int8_model(net: TraitNet, crops: Crops, count: int = 256) -> onnx.ModelProto:
    """The INT8 model, calibrated on `count` people."""
    float_pixels = model_of(core(net), "pixels", TensorProto.FLOAT)
    return calibrated(float_pixels, _People(crops, count), Scheme(float_nodes=FLOAT_NODES), SHAPE)


def main() -> None:
    """Command line of the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rendered", type=Path, required=True, help="people to calibrate INT8 with")
    args = parser.parse_args()
    net = load_net(args.checkpoint)
    args.out.mkdir(parents=True, exist_ok=True)
    for kind, model in (("int8", int8_model(net, load(args.rendered))), ("fp32", float_model(net))):
        path = args.out / f"{NAME}.{kind}.onnx"
        onnx.save(model, str(path))
        print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
