# SPDX-License-Identifier: Apache-2.0
"""Writes the network as ONNX, node by node, with batch norm folded: `python -m models.training.export CKPT OUT`.

Written by hand instead of traced: the graph then holds convolutions, ReLU, sums, one max pool and two nearest
upsamplings and nothing else, with names that a person can read, and height and width stay free.

    image  uint8 (1, 3, H, W) BGR -> Cast -> / 255 -> pixels -> ... -> s8, s16, s32 float32 (1, 33, H/s, W/s)
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from models.training.checkpoint import load_average
from models.training.net import CHANNELS, STRIDES, Head, Net, Residual, Unit

OPSET, IR_VERSION = 17, 8  # readable by ONNX Runtime 1.14 and later
OUTPUTS = tuple(f"s{stride}" for stride in STRIDES)


def folded(unit: Unit) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights and biases of a unit's convolution with its batch norm multiplied in."""
    norm = unit.norm
    weight = unit.conv.weight.detach().double().numpy()
    mean, var = (t.double().numpy() for t in (norm.running_mean, norm.running_var) if t is not None)
    gain = norm.weight.detach().double().numpy() / np.sqrt(var + norm.eps)
    bias = norm.bias.detach().double().numpy() - mean * gain
    return (weight * gain[:, None, None, None]).astype(np.float32), bias.astype(np.float32)


class Graph:
    """An ONNX graph under construction; each method adds a node and returns the name of its output."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        """Adds an initializer."""
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def node(self, kind: str, name: str, inputs: list[str], **attributes: Any) -> str:
        """Adds a node whose output carries its name."""
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def convolution(
        self, x: str, name: str, weight: NDArray[np.float32], bias: NDArray[np.float32], stride: int
    ) -> str:
        """A convolution, padded by half its kernel."""
        size = weight.shape[2]
        inputs = [x, self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", bias)]
        return self.node("Conv", name, inputs, kernel_shape=[size] * 2, strides=[stride] * 2, pads=[size // 2] * 4)

    def unit(self, x: str, name: str, unit: Unit) -> str:
        """Convolution and ReLU."""
        weight, bias = folded(unit)
        return self.node("Relu", f"{name}.relu", [self.convolution(x, name, weight, bias, unit.conv.stride[0])])

    def chain(self, x: str, name: str, modules: list[object]) -> str:
        """Units and residual blocks, one after the other, also nested."""
        for k, module in enumerate(modules):
            inner = f"{name}.{k}"
            if isinstance(module, Unit):
                x = self.unit(x, inner, module)
            elif isinstance(module, Residual):
                y = self.unit(self.unit(x, f"{inner}.reduce", module.reduce), f"{inner}.expand", module.expand)
                x = self.add(x, y, f"{inner}.sum")
            else:
                x = self.chain(x, inner, list(module))  # type: ignore[call-overload]
        return x

    def add(self, x: str, y: str, name: str) -> str:
        """A sum of two maps."""
        return self.node("Add", name, [x, y])

    def double(self, x: str, name: str) -> str:
        """Nearest-neighbour upsampling by 2."""
        scales = self.constant(f"{name}.scales", np.array([1, 1, 2, 2], np.float32))
        return self.node(
            "Resize", name, [x, "", scales], mode="nearest", nearest_mode="floor",
            coordinate_transformation_mode="asymmetric",
        )  # fmt: skip

    def head(self, x: str, name: str, head: Head, output: str) -> None:
        """The outputs of one stride."""
        mixed = self.unit(x, f"{name}.mix", head.mix)
        weight, bias = head.out.weight.detach().numpy(), head.out.bias
        assert bias is not None  # noqa: S101 - narrows the type: Conv2d was made with a bias
        self.convolution(mixed, output, weight, bias.detach().numpy(), 1)


def core(net: Net) -> Graph:
    """The graph from `pixels` (float32, 0..1) to the three outputs; mirrors `Net.forward`."""
    g = Graph()
    c8 = g.chain(g.chain("pixels", "stem", list(net.stem)), "stage8", list(net.stage8))
    c16 = g.chain(c8, "stage16", list(net.stage16))
    c32 = g.chain(c16, "stage32", list(net.stage32))
    squeeze, pool, expand = net.context
    wide = g.unit(c32, "context.squeeze", squeeze)  # type: ignore[arg-type]
    size = int(pool.kernel_size)  # type: ignore[arg-type]
    wide = g.node("MaxPool", "context.pool", [wide], kernel_shape=[size] * 2, strides=[1, 1], pads=[size // 2] * 4)
    wide = g.unit(wide, "context.expand", expand)  # type: ignore[arg-type]
    f32 = g.add(g.unit(c32, "lateral32", net.lateral32), wide, "sum32")
    f16 = g.add(g.unit(c16, "lateral16", net.lateral16), g.double(f32, "double32"), "sum16")
    f16 = g.unit(f16, "down_up16", net.down_up16)
    f8 = g.add(g.unit(c8, "lateral8", net.lateral8), g.double(f16, "double16"), "sum8")
    f8 = g.unit(f8, "down_up8", net.down_up8)
    f16 = g.add(f16, g.unit(f8, "up16", net.up16), "path16")
    f32 = g.add(f32, g.unit(f16, "up32", net.up32), "path32")
    for x, head, output in zip((f8, f16, f32), net.heads, OUTPUTS, strict=True):
        g.head(x, f"head{output[1:]}", head, output)  # type: ignore[arg-type]
    return g


def model_of(graph: Graph, source: str, kind: int) -> onnx.ModelProto:
    """A checked model whose input is `source` of the element type `kind`."""
    image = helper.make_tensor_value_info(source, kind, [1, 3, "height", "width"])
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, CHANNELS, f"height/{s}", f"width/{s}"])
        for name, s in zip(OUTPUTS, STRIDES, strict=True)
    ]
    return checked(graph, "nigiwai-person", image, outputs)


def checked(graph: Graph, name: str, image: onnx.ValueInfoProto, outputs: list[onnx.ValueInfoProto]) -> onnx.ModelProto:
    """A model of this graph, input and outputs, in the versions that devices run. Raises where ONNX finds it wrong."""
    made = helper.make_graph(graph.nodes, name, [image], outputs, graph.weights)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="nigiwai")
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    return model


def from_bytes(body: Graph) -> Graph:
    """The graph that takes `image`, bytes, where `body` takes `pixels`, 0..1."""
    graph = Graph()
    graph.node("Cast", "as_float", ["image"], to=TensorProto.FLOAT)
    graph.node("Mul", "pixels", ["as_float", graph.constant("scale", np.array(1 / 255, np.float32))])
    graph.nodes += body.nodes
    graph.weights += body.weights
    return graph


def float_core(net: Net) -> onnx.ModelProto:
    """The model from float pixels, the form that is calibrated and quantised."""
    return model_of(core(net), "pixels", TensorProto.FLOAT)


def float_model(net: Net) -> onnx.ModelProto:
    """The FP32 model as shipped: bytes in, conversion in the graph."""
    return model_of(from_bytes(core(net)), "image", TensorProto.UINT8)


def main() -> None:
    """Command line: a checkpoint's averaged weights to an FP32 ONNX file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    args = parser.parse_args()
    onnx.save(float_model(load_average(args.checkpoint)), str(args.out))
    print(f"{args.out}: {args.out.stat().st_size} bytes")


if __name__ == "__main__":
    main()
