"""ONNX files as models: ONNX Runtime on the CPU, one thread, always the same number of samples per call."""

from __future__ import annotations

import glob
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.adapters.base import Adapter, in_passes, needs, tokens_of
from wbench.errors import ModelError, UsageError
from wbench.model import Embedder, Predictor
from wbench.task.batch import Batch, ChannelMeta
from wbench.task.spec import TaskSpec

__all__ = ["OnnxEmbedder", "OnnxPredictor"]

#: Kinds of numbers that ONNX Runtime names, as NumPy calls them.
_TYPES = {
    "tensor(float)": "float32",
    "tensor(double)": "float64",
    "tensor(float16)": "float16",
    "tensor(int64)": "int64",
}


class _OnnxFile(Adapter):
    """A session on the file, its inputs and its first output.

    Parameters
    ----------
    weights : path
        The ``.onnx`` file.
    output : str
        Name of the output to use; the first one by default.
    **declared
        Attributes of :class:`~wbench.adapters.Adapter`.
    """

    def __init__(self, weights: str | Path | None = None, *, output: str = "", **declared: Any) -> None:
        needs("onnxruntime", "onnx", type(self).__name__)
        super().__init__(weights, **declared)
        if self.path is None:
            raise UsageError(f"{type(self).__name__} needs an .onnx file.", next_step='weights = "model.onnx"')
        # Exporters put large weights into files beside it: model.onnx.data, model.onnx_data.
        beside = sorted(self.path.parent.glob(f"{glob.escape(self.path.name)}?*"))
        self.files = (self.path, *(one for one in beside if one.is_file()))
        self.output = output

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Open the session."""
        import onnxruntime

        super().setup(spec, meta)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.use_deterministic_compute = True
        options.log_severity_level = 3  # errors only; its warnings are about optimisations
        try:
            self._session = onnxruntime.InferenceSession(str(self.path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exceptions have no common base
            why = str(error).strip().partition("\n")[0]
            step = "export it again (docs: models), for an opset that this ONNX Runtime knows"
            raise ModelError("The ONNX file cannot be used.", where=str(self.path), why=why, next_step=step) from error
        names = [one.name for one in self._session.get_outputs()]
        if self.output and self.output not in names:
            why, step = f"its outputs are {', '.join(names)}", "give one of them as output"
            raise ModelError(
                f"The ONNX file has no output {self.output!r}.", where=str(self.path), why=why, next_step=step
            )
        self._wanted = self._session.get_inputs()
        # A file that was exported with a fixed number of samples gets that many.
        sizes = {one.shape[0] for one in self._wanted if one.shape and isinstance(one.shape[0], int)}
        self._size = max(sizes) if sizes else self.samples_per_pass

    def run(self, batch: Batch) -> npt.NDArray[Any]:
        """Output of the file for a batch: [n, …]."""
        inputs = _named(self.inputs(batch), self._wanted, str(self.path))
        outputs = [self.output] if self.output else [self._session.get_outputs()[0].name]
        from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument

        try:
            return in_passes(lambda part: np.asarray(self._session.run(outputs, part)[0]), inputs, self._size)
        except InvalidArgument as error:
            wanted = "; ".join(f"{one.name} {list(one.shape)}" for one in self._wanted)
            given = "; ".join(f"{name} {list(values.shape)}" for name, values in inputs.items())
            why, step = f"it takes {wanted}; it was given {given}", "shape = […] under [params] as the file has it"
            raise ModelError(
                "The ONNX file takes other inputs.", where=str(self.path), why=why, next_step=step
            ) from error

    def count_parameters(self) -> int:
        """Numbers in the file's initialisers; ``info.parameters`` where the package ``onnx`` is not installed."""
        try:
            import onnx
        except ImportError:
            return self.info.parameters
        graph = onnx.load(str(self.path), load_external_data=False).graph
        floats = {onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16}
        return sum(int(np.prod(one.dims, dtype=np.int64)) for one in graph.initializer if one.data_type in floats)


def _named(inputs: Mapping[str, npt.NDArray[Any]], wanted: list[Any], where: str) -> dict[str, npt.NDArray[Any]]:
    """Arrays under the file's own names and types: by name, or in order where the names are others."""
    names = [one.name for one in wanted]
    if len(inputs) != len(names):
        why = f"it has {', '.join(names)}; inputs() gives {', '.join(inputs)}"
        raise ModelError("The file takes other inputs.", where=where, why=why, next_step="write inputs()")
    arrays = [inputs[name] for name in names] if set(names) == set(inputs) else list(inputs.values())
    types = [_TYPES.get(one.type, "float32") for one in wanted]
    return {name: array.astype(type_, copy=False) for name, array, type_ in zip(names, arrays, types, strict=True)}


class OnnxEmbedder(_OnnxFile, Embedder):
    """An ONNX file that gives features: [n, d] is one token, [n, …, d] are tokens."""

    def embed(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Tokens float32 [n, token, d]."""
        return tokens_of(self.run(batch))


class OnnxPredictor(_OnnxFile, Predictor):
    """An ONNX file that answers the task itself: scores, regression outputs, or channels [n, 2, …]."""

    def predict(self, batch: Batch) -> npt.NDArray[Any]:
        """The file's output, as :meth:`answer` reads it."""
        return self.answer(self.run(batch), batch)
