# SPDX-License-Identifier: Apache-2.0
"""The INT8 files that are shipped: no processor may cut a sum off."""

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="reading a model's weights needs the extra `train`")

MODELS = Path(__file__).parents[2] / "models"


@pytest.mark.parametrize("name", ["nigiwai-person.int8.onnx", "nigiwai-traits.int8.onnx"])
def test_two_products_of_weights_and_activations_fit_16_bits(name: str) -> None:
    """x86 without VNNI adds pairs in 16 bits (VPMADDUBSW); what is more is cut off, and people are lost."""
    weights = [
        onnx.numpy_helper.to_array(tensor).astype(np.int64)
        for tensor in onnx.load(str(MODELS / name)).graph.initializer
        if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) == 4
    ]
    assert len(weights) > 8
    assert max(np.abs(w).max() for w in weights) * 2 * 255 <= np.iinfo(np.int16).max
