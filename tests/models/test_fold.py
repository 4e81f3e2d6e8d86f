# SPDX-License-Identifier: Apache-2.0
"""A folded first convolution computes what it computed before, to the last bit."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="folding needs the extra `train`")
ort = pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402 - after the check

from models.training.errors import ModelFileError  # noqa: E402
from models.training.fold import folded  # noqa: E402

CHANNELS = 8


def quantising(name: str) -> list[str]:
    return [f"{name}.scale", f"{name}.zero"]


def small(stride: int = 2) -> onnx.ModelProto:
    """Bytes (1, 3, H, W) -> two INT8 convolutions as quantise_static writes them -> float."""
    rng = np.random.default_rng(3)
    values: dict[str, np.ndarray] = {"image.scale": np.float32(1 / 255), "image.zero": np.uint8(0)}
    nodes = [helper.make_node("DequantizeLinear", ["image", *quantising("image")], ["x0"], name="pixels")]
    for k, (inputs, step) in enumerate([(3, stride), (CHANNELS, 1)]):
        weight, bias = f"w{k}", f"b{k}"
        values[weight] = rng.integers(-64, 65, (CHANNELS, inputs, 3, 3)).astype(np.int8)
        values[bias] = rng.integers(-9000, 9000, CHANNELS).astype(np.int32)
        for name, kind in ((weight, np.int8), (bias, np.int32)):
            values[f"{name}.scale"] = rng.uniform(0.001, 0.002, CHANNELS).astype(np.float32)
            values[f"{name}.zero"] = np.zeros(CHANNELS, kind)
            taken = [name, *quantising(name)]
            nodes.append(helper.make_node("DequantizeLinear", taken, [f"{name}.float"], axis=0))
        values[f"y{k}.scale"], values[f"y{k}.zero"] = np.float32(0.03), np.uint8(0)
        shape = {"kernel_shape": [3, 3], "strides": [step] * 2, "pads": [1] * 4}
        nodes += [
            helper.make_node(
                "Conv", [f"x{k}", f"{weight}.float", f"{bias}.float"], [f"y{k}"], name=f"conv{k}", **shape
            ),
            helper.make_node("QuantizeLinear", [f"y{k}", *quantising(f"y{k}")], [f"q{k}"]),
            helper.make_node("DequantizeLinear", [f"q{k}", *quantising(f"y{k}")], [f"x{k + 1}"]),
        ]
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, [1, 3, "height", "width"])
    out = helper.make_tensor_value_info("x2", TensorProto.FLOAT, [1, CHANNELS, None, None])
    weights = [numpy_helper.from_array(np.asarray(v), name) for name, v in values.items()]
    graph = helper.make_graph(nodes, "small", [image], [out], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def outputs(model: onnx.ModelProto, picture: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {"image": picture})[0])


@pytest.mark.parametrize("size", [(8, 4), (64, 32), (96, 64)])
def test_the_outputs_are_the_same_to_the_last_bit(size: tuple[int, int]) -> None:
    model = small()
    picture = np.random.default_rng(5).integers(0, 256, (1, size[1], size[0], 3)).astype(np.uint8)

    before = outputs(model, np.ascontiguousarray(picture.transpose(0, 3, 1, 2)))
    after = outputs(folded(model), picture)

    assert len(np.unique(before)) > 10
    assert (after == before).all()


def test_the_model_given_stays_as_it_was() -> None:
    model = small()
    before = model.SerializeToString()
    folded(model)
    assert model.SerializeToString() == before


def test_other_first_layers_are_refused() -> None:
    with pytest.raises(ModelFileError, match=r"first layer 'conv0': Conv .*'strides': \[1, 1\]"):
        folded(small(stride=1))
