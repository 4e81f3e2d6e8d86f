# SPDX-License-Identifier: Apache-2.0
"""Small networks with known answers, in the shape of the bundled detector's.

Per stride s the output (1, 33, rows, columns) is one convolution of s x s pixels: at stride 8, channel 0 is high where
the picture is bright (logit = brightness / 10 - 12.8, so 0.5 at 128), at the others never; the 32 distance logits are
the same everywhere: the four distances to the sides are exactly BIN strides.
"""

import hashlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from nigiwai.eye.decode import BINS, NIGIWAI_STRIDES
from nigiwai.eye.manifest import MANIFEST

BIN = 2
"""A bright cell's box reaches two strides from the cell's centre to every side."""


def brightness_model(
    dtype: int = TensorProto.UINT8, channels: int = 1 + 4 * BINS, ir: int = 9, stem: bool = False
) -> bytes:
    """The network's file. stem: with a convolution before the others, that changes nothing."""
    nodes = [helper.make_node("Cast", ["image"], ["cast"], to=TensorProto.FLOAT)]
    weights = [numpy_helper.from_array(np.eye(3, dtype=np.float32)[:, :, None, None], "eye")]
    nodes.append(helper.make_node("Conv", ["cast", "eye"], ["float"], name="stem"))
    if not stem:
        nodes, weights = [helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT)], []
    for stride in NIGIWAI_STRIDES:
        kernel = np.zeros((channels, 3, stride, stride), np.float32)
        kernel[0] = 0.1 / (3 * stride * stride)
        bias = np.zeros(channels, np.float32)
        bias[0] = -12.8 if stride == NIGIWAI_STRIDES[0] else -1000.0
        bias[1 + BIN :: BINS] = 50.0
        weights += [numpy_helper.from_array(kernel, f"w{stride}"), numpy_helper.from_array(bias, f"b{stride}")]
        nodes.append(
            helper.make_node(
                "Conv",
                ["float", f"w{stride}", f"b{stride}"],
                [f"s{stride}"],
                name=f"conv{stride}",
                strides=[stride, stride],
            )
        )
    free = [1, 3, "height", "width"]
    outputs = [
        helper.make_tensor_value_info(f"s{s}", TensorProto.FLOAT, [1, channels, None, None]) for s in NIGIWAI_STRIDES
    ]
    graph = helper.make_graph(
        nodes, "brightness", [helper.make_tensor_value_info("image", dtype, free)], outputs, weights
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=ir)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def models_folder(folder: Path, weights: bytes, **changes: str) -> Path:
    """A folder of models with the one detector `tiny`; `changes` replaces lines of the entry, as `decode='"yolox"'`."""
    keys = {
        "name": '"tiny"',
        "file": '"tiny.onnx"',
        "sha256": f'"{hashlib.sha256(weights).hexdigest()}"',
        "licence": '"Apache-2.0"',
        "source": '"the tests"',
        "decode": '"nigiwai"',
        "input": '{ sizes = [[128, 64], [64, 64]], dtype = "uint8", pad = 0 }',
        "thresholds": "{ low = 0.5, high = 0.6, nms_iou = 0.6 }",
    }
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{key} = {value}" for key, value in (keys | changes).items()]
    (folder / MANIFEST).write_text("\n".join(["version = 1", "[[model]]", *lines]), encoding="utf-8")
    (folder / "tiny.onnx").write_bytes(weights)
    return folder
