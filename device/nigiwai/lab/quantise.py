# SPDX-License-Identifier: Apache-2.0
"""Makes an INT8 copy of a network: static, QDQ, weights per channel, activations unsigned.

Only convolutions are quantised, and not the last ones: their outputs mix scores, offsets and distances of very unlike
range, and one scale for all would flatten the small ones. Unsigned activations because ONNX Runtime's fast kernels on
x86 multiply unsigned by signed bytes; on Arm both run alike. Weights use 7 of their 8 bits, because x86 processors
without VNNI add two products in 16 bits, which overflow with 8.
"""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nigiwai.errors import ModelError
from nigiwai.eye.manifest import Entry
from nigiwai.eye.prepare import Preparer
from nigiwai.eye.types import Frame

_CONV = "Conv"
_LEAST_OPSET = 13
"""The first in which DequantizeLinear takes a scale per channel."""


def quantised(weights: bytes, entry: Entry, frames: Sequence[Frame]) -> bytes:
    """The INT8 copy of the network in `weights`, calibrated on frames prepared as the entry says.

    Raises ModelError where the tools for it are not installed, or there are no frames.
    """
    tools = _tools()
    if not frames:
        raise ModelError(f"{entry.name}: nothing to calibrate with; give a recording with people to --recording")
    with tempfile.TemporaryDirectory() as folder:
        source, ready, target = (Path(folder) / name for name in ("source.onnx", "ready.onnx", "target.onnx"))
        tools.onnx.save(tools.modern(weights), str(source))
        tools.quant_pre_process(str(source), str(ready), skip_symbolic_shape=True)
        model = tools.onnx.load(str(ready))
        tools.quantize_static(
            str(ready),
            str(target),
            _Frames(entry, frames, model.graph.input[0].name),
            quant_format=tools.QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            activation_type=tools.QuantType.QUInt8,
            weight_type=tools.QuantType.QInt8,
            op_types_to_quantize=[_CONV],
            nodes_to_exclude=last_convolutions(model.graph),
        )
        return target.read_bytes()


class _Frames:
    """Feeds prepared frames to the calibration, as onnxruntime's CalibrationDataReader."""

    def __init__(self, entry: Entry, frames: Sequence[Frame], name: str) -> None:
        self._preparer = Preparer(entry.input, entry.input.sizes[0])
        self._frames: Iterator[Frame] = iter(frames)
        self._name = name

    def get_next(self) -> dict[str, Any] | None:
        """The next input, or None at the end."""
        frame = next(self._frames, None)
        return None if frame is None else {self._name: self._preparer.prepare(frame.image)[0].copy()}


def last_convolutions(graph: Any) -> list[str]:
    """The names of the convolutions behind which there is no other on the way to an output. `graph`: onnx's."""
    makers = {output: node for node in graph.node for output in node.output}
    waiting = [output.name for output in graph.output]
    seen: set[str] = set()
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        node = makers.get(name)
        if node is None or name in seen:
            continue
        seen.add(name)
        if node.op_type == _CONV:
            found.add(node.name)
        else:
            waiting += node.input
    return sorted(found)


class _Tools:
    """onnxruntime's quantisation, which needs the package onnx."""

    def __init__(self) -> None:
        import onnx
        from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process

        self.onnx, self.quantize_static, self.quant_pre_process = onnx, quantize_static, quant_pre_process
        self.QuantFormat, self.QuantType = QuantFormat, QuantType

    def modern(self, weights: bytes) -> Any:
        """The model in a set of operators recent enough for scales per channel, each node with a name, and no weights
        among its inputs, where old exporters put them.
        """
        from onnx import version_converter

        model = self.onnx.load_from_string(weights)
        for i, node in enumerate(model.graph.node):
            node.name = node.name or f"node{i}"
        constants = {tensor.name for tensor in model.graph.initializer}
        for value in [value for value in model.graph.input if value.name in constants]:
            model.graph.input.remove(value)
        own = next(opset.version for opset in model.opset_import if opset.domain in {"", "ai.onnx"})
        return model if own >= _LEAST_OPSET else version_converter.convert_version(model, _LEAST_OPSET)


def _tools() -> _Tools:
    try:
        return _Tools()
    except ModuleNotFoundError as e:
        raise ModelError(
            f"quantising needs the Python package {e.name!r}: install it with `pip install 'nigiwai[quantise]'`, or use"
            " the model as it is with --no-quantise"
        ) from None
