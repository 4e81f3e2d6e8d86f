# SPDX-License-Identifier: Apache-2.0
"""The first convolution of an INT8 detector as processors like it: pixels as the camera lays them out, two outputs at
a time. The same outputs to the last bit, in five sixths of the time (device's sizes, one thread, x86 with VNNI).

ONNX Runtime gathers what a 3 x 3 convolution sees into rows, one memory copy for each line of it: of three colours that
is nine bytes a copy, and the first layer, 2 % of the multiply-adds, takes a fifth of the time. Folded, two neighbouring
outputs are reckoned from four columns of pixels and those left of them, which lie side by side in memory:

    pixels    . . . a | b c d e        image (1, H, W, 3), read as (1, H, W / 4, 12): a fold is four columns
    outputs           p   q            p = 3 x 3 about b: a b c;   q = 3 x 3 about d: c d e; no other pixel weighs
    as convolved                       3 x 2 folds, strides 2 and 1, 32 channels: 16 of p, then 16 of q
    and read back                      (1, H / 2, W / 4, 32) as (1, H / 2, W / 2, 16)

The weights that no pixel had are 0. Four outputs at a time are no faster, and cost processors without VNNI more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.training.errors import ModelFileError

TOGETHER = 2
"""Outputs that are reckoned at once."""

COLOURS = 3
PICTURE: tuple[int | str, ...] = (1, "height", "width", COLOURS)


def folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """The INT8 model (of quantise.bytes_in) with `image` uint8 (1, H, W, 3), W a multiple of 4, and its first
    convolution folded.

    Raises ModelFileError where the first convolution is not 3 x 3 with a stride of 2 and a margin of 1.
    """
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    entry = _user(graph, "image")
    first = _user(graph, entry.output[0])
    after = _user(graph, _user(graph, first.output[0]).output[0])
    _demand(first)
    channels = _widen(graph, first)
    _unfold(graph, after, channels)
    _fold(graph, entry)
    del graph.value_info[:]
    onnx.checker.check_model(made, full_check=True)
    return made


def fold_weights(weights: NDArray[np.int8]) -> NDArray[np.int8]:
    """(2 N, 12, 3, 2) of the weights (N, 3, 3, 3) of a 3 x 3 convolution with a stride of 2: as the head says."""
    outputs, columns = len(weights), 2 * TOGETHER
    # which output, channel, column within the fold, colour, line, fold
    wide = np.zeros((TOGETHER, outputs, columns, COLOURS, 3, 2), weights.dtype)
    for k in range(TOGETHER):
        for column in range(3):
            fold, within = divmod(columns + 2 * k + column - 1, columns)
            wide[k, :, within, :, :, fold] = weights[:, :, :, column]
    return wide.reshape(TOGETHER * outputs, columns * COLOURS, 3, 2)


def _demand(node: onnx.NodeProto) -> None:
    known = {a.name: list(a.ints) for a in node.attribute}
    wanted = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4}
    if node.op_type != "Conv" or any(known.get(name) != value for name, value in wanted.items()):
        raise ModelFileError(f"first layer {node.name!r}: {node.op_type} {known}, only a Conv with {wanted} is folded")


def _widen(graph: onnx.GraphProto, node: onnx.NodeProto) -> int:
    """Gives the first convolution its folded weights, and what belongs to each channel once for each output; returns
    how many channels it had.
    """
    makers = {n.output[0]: n for n in graph.node}
    weights, bias = (makers[name].input for name in node.input[1:3])
    channels = len(_values(graph, weights[0]))
    _change(graph, weights[0], fold_weights(_values(graph, weights[0])))
    for name in dict.fromkeys((*weights[1:], *bias)):
        _change(graph, name, np.tile(_values(graph, name), TOGETHER))
    del node.attribute[:]
    shape = {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 1, 1, 0]}
    node.attribute.extend(helper.make_attribute(name, value) for name, value in shape.items())
    return channels


def _fold(graph: onnx.GraphProto, entry: onnx.NodeProto) -> None:
    """Lets the network take the picture as it lies in memory, and reads it in folds."""
    graph.input[0].CopyFrom(helper.make_tensor_value_info("image", TensorProto.UINT8, PICTURE))
    entry.input[0] = "folds.planes"
    shape = _last_side(graph, "folds.shape", 2 * TOGETHER * COLOURS)
    nodes = [
        helper.make_node("Reshape", ["image", shape], ["folds"], name="folds"),
        helper.make_node("Transpose", ["folds"], ["folds.planes"], name="folds.planes", perm=[0, 3, 1, 2]),
    ]
    _insert(graph, entry, nodes)


def _unfold(graph: onnx.GraphProto, after: onnx.NodeProto, channels: int) -> None:
    """Reads what the first convolution made, quantised, as the channels of single outputs, before `after` takes it.

    The transpositions face those that ONNX Runtime itself sets around its convolutions, and go away with them.
    """
    source, after.input[0] = after.input[0], "unfolded.planes"
    shape = _last_side(graph, "unfolded.shape", channels)
    nodes = [
        helper.make_node("Transpose", [source], ["unfolding"], name="unfolding", perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", ["unfolding", shape], ["unfolded"], name="unfolded"),
        helper.make_node("Transpose", ["unfolded"], ["unfolded.planes"], name="unfolded.planes", perm=[0, 3, 1, 2]),
    ]
    _insert(graph, after, nodes)


def _user(graph: onnx.GraphProto, name: str) -> onnx.NodeProto:
    """The one node that takes the value `name`. Raises ModelFileError where there is none, or several."""
    users = [n for n in graph.node if name in n.input]
    if len(users) != 1:
        raise ModelFileError(f"value {name!r}: taken by {len(users)} nodes, only a single chain is folded")
    return users[0]


def _insert(graph: onnx.GraphProto, before: onnx.NodeProto, nodes: Sequence[onnx.NodeProto]) -> None:
    place = list(graph.node).index(before)
    for k, node in enumerate(nodes):
        graph.node.insert(place + k, node)


def _last_side(graph: onnx.GraphProto, name: str, side: int) -> str:
    """The name of a shape that makes the last side of four that long, at the cost of the one before it."""
    graph.initializer.append(numpy_helper.from_array(np.array([0, 0, -1, side], np.int64), name))
    return name


def _weights(graph: onnx.GraphProto, name: str) -> TensorProto:
    return next(tensor for tensor in graph.initializer if tensor.name == name)


def _values(graph: onnx.GraphProto, name: str) -> NDArray[Any]:
    return np.asarray(numpy_helper.to_array(_weights(graph, name)))


def _change(graph: onnx.GraphProto, name: str, values: NDArray[Any]) -> None:
    _weights(graph, name).CopyFrom(numpy_helper.from_array(values, name))
