"""Ready base classes: a network or an estimator becomes a model in a few lines.

===========================  ====================================  =====================================================
class                        wraps                                 a subclass writes
===========================  ====================================  =====================================================
:class:`ModuleEmbedder`      a PyTorch module                      ``build()``
:class:`ModulePredictor`     a PyTorch module                      ``build()``
:class:`ModuleCodec`         two PyTorch modules                   ``build_encoder()``, ``build_decoder()``
:class:`OnnxEmbedder`        an ONNX file (extra ``[onnx]``)       nothing
:class:`OnnxPredictor`       an ONNX file                          nothing
:class:`TensorFlowEmbedder`  ``.keras`` file or SavedModel folder  nothing
                             (extra ``[tensorflow]``)
:class:`TensorFlowPredictor` the same                              nothing
:class:`SklearnPredictor`    a scikit-learn estimator              ``estimator()``
===========================  ====================================  =====================================================

All of them have one way to declare what they serve (:class:`Adapter`), and one input unless ``inputs()`` is written:
real and imaginary part of the channel, float32 [n, 2, …]. Names are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wbench.adapters.base import Adapter, complex_of, crop_pad, real_imag
    from wbench.adapters.codec import ModuleCodec
    from wbench.adapters.module import ModuleEmbedder, ModulePredictor
    from wbench.adapters.onnx_file import OnnxEmbedder, OnnxPredictor
    from wbench.adapters.sklearn_estimator import SklearnPredictor
    from wbench.adapters.tensorflow_file import TensorFlowEmbedder, TensorFlowPredictor

_WHERE = {
    "Adapter": "base",
    "ModuleCodec": "codec",
    "ModuleEmbedder": "module",
    "ModulePredictor": "module",
    "OnnxEmbedder": "onnx_file",
    "OnnxPredictor": "onnx_file",
    "SklearnPredictor": "sklearn_estimator",
    "TensorFlowEmbedder": "tensorflow_file",
    "TensorFlowPredictor": "tensorflow_file",
    "complex_of": "base",
    "crop_pad": "base",
    "real_imag": "base",
}

__all__ = [
    "Adapter",
    "ModuleCodec",
    "ModuleEmbedder",
    "ModulePredictor",
    "OnnxEmbedder",
    "OnnxPredictor",
    "SklearnPredictor",
    "TensorFlowEmbedder",
    "TensorFlowPredictor",
    "complex_of",
    "crop_pad",
    "real_imag",
]


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module 'wbench.adapters' has no attribute {name!r}")
    value = getattr(import_module(f"wbench.adapters.{_WHERE[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
