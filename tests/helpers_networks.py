"""Files of networks for the tests of adapters: the same affine map in every format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt


def affine(inputs: int, outputs: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Weight [inputs, outputs] and bias."""
    rng = np.random.default_rng(3)
    scale = np.float32(inputs**-0.5)
    return rng.standard_normal((inputs, outputs)).astype(np.float32) * scale, rng.standard_normal(outputs).astype("f4")


def write_onnx(path: Path, shape: tuple[int, ...], outputs: int, batch: int | str = "n", hidden: str = "relu") -> int:
    """x [n, 2, *shape] → relu(x·w + b), written by hand with onnx.helper; the number of weights."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weight, bias = affine(2 * int(np.prod(shape)), outputs)
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"], axis=1),
        helper.make_node("Gemm", ["flat", "w", "b"], ["affine"]),
        helper.make_node("Relu", ["affine"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "affine",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 2, *shape])],
        [
            helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, outputs]),
            helper.make_tensor_value_info("affine", TensorProto.FLOAT, [batch, outputs]),
        ],
        [numpy_helper.from_array(weight, "w"), numpy_helper.from_array(bias, "b")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return weight.size + bias.size


def torch_affine(shape: tuple[int, ...], outputs: int) -> Any:
    """The same as a PyTorch module: an independent implementation of what the file says."""
    import torch
    from torch import nn

    weight, bias = affine(2 * int(np.prod(shape)), outputs)
    network = nn.Sequential(nn.Flatten(), nn.Linear(*weight.shape), nn.ReLU())
    with torch.no_grad():
        network[1].weight.copy_(torch.from_numpy(weight.T.copy()))
        network[1].bias.copy_(torch.from_numpy(bias))
    return network
