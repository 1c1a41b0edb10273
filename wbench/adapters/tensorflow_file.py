"""Keras models (``.keras``) and TensorFlow SavedModels (a folder), on the CPU, in passes of one size.

A ``.keras`` file is opened in Keras's safe mode: Python code in it (a Lambda layer) is refused. A SavedModel has no
Python code, but its graph may hold any TensorFlow operation, reading files among them: use such of people you trust.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wbench.adapters.base import Adapter, in_passes, needs, tokens_of
from wbench.errors import ModelError, UsageError
from wbench.model import Embedder, Predictor
from wbench.task.batch import Batch, ChannelMeta
from wbench.task.spec import TaskSpec

__all__ = ["TensorFlowEmbedder", "TensorFlowPredictor"]


class _TensorFlowFile(Adapter):
    """A Keras model or a signature of a SavedModel.

    Parameters
    ----------
    weights : path
        The ``.keras`` file, or the folder of a SavedModel.
    output : str
        Name of the output to use; the first one by default.
    signature : str
        Of a SavedModel.
    channels_last : bool
        Real and imaginary part in the last dimension, [n, …, 2], as Keras's convolutions want them.
    **declared
        Attributes of :class:`~wbench.adapters.Adapter`.
    """

    def __init__(
        self,
        weights: str | Path | None = None,
        *,
        output: str = "",
        signature: str = "serving_default",
        channels_last: bool = False,
        **declared: Any,
    ) -> None:
        needs("tensorflow", "tensorflow", type(self).__name__)
        super().__init__(weights, **declared)
        if self.path is None or not (self.path.is_dir() or self.path.suffix == ".keras"):
            why = "an .h5 file may run code when it is opened" if self.path and self.path.suffix == ".h5" else None
            step = 'model.save("model.keras"), or model.export("folder") for a SavedModel'
            raise UsageError(
                "It needs a .keras file or a SavedModel folder.", where=str(self.path), why=why, next_step=step
            )
        self.output, self.signature, self.channels_last = output, signature, channels_last

    def setup(self, spec: TaskSpec, meta: ChannelMeta) -> None:
        """Load the model."""
        super().setup(spec, meta)
        _one_thread()
        try:
            self._call, self._parameters = self._loaded()
        except ModelError:
            raise
        except Exception as error:  # whatever a damaged file makes it raise
            why = str(error).strip().partition("\n")[0]
            raise ModelError("The TensorFlow model cannot be used.", where=str(self.path), why=why) from error

    def _loaded(self) -> tuple[Callable[[list[Any]], Any], int]:
        """A function of the inputs in order, and the number of weights."""
        import keras
        import tensorflow

        if self.path is not None and self.path.is_file():
            model = keras.models.load_model(self.path, compile=False, safe_mode=True)
            return (
                lambda arrays: model(arrays[0] if len(arrays) == 1 else arrays, training=False)
            ), model.count_params()
        loaded = tensorflow.saved_model.load(str(self.path))
        if self.signature not in loaded.signatures:
            why = f"it has {', '.join(loaded.signatures) or 'none'}"
            raise ModelError(f"There is no signature {self.signature!r}.", where=str(self.path), why=why)
        call = loaded.signatures[self.signature]
        self._keep = loaded  # a signature alone does not keep its variables
        names = list(call.structured_input_signature[1])
        # Constants that came with it are no weights; variables are, as far as the loader names them.
        variables = getattr(loaded, "variables", ())
        count = sum(int(np.prod(one.shape, dtype=np.int64)) for one in variables)
        return (lambda arrays: call(**dict(zip(names, arrays, strict=True)))), count or self.info.parameters

    def run(self, batch: Batch) -> npt.NDArray[Any]:
        """Output of the model for a batch: [n, …]."""
        import tensorflow

        def one(part: dict[str, npt.NDArray[Any]]) -> npt.NDArray[Any]:
            found = self._call([tensorflow.constant(values) for values in part.values()])
            if isinstance(found, dict):
                if self.output and self.output not in found:
                    raise ModelError(f"There is no output {self.output!r}.", why=f"there are {', '.join(found)}")
                found = found[self.output] if self.output else next(iter(found.values()))
            elif isinstance(found, list | tuple):
                found = found[0]
            return np.asarray(found)

        inputs = dict(self.inputs(batch))
        if self.channels_last and "x" in inputs:
            inputs["x"] = np.moveaxis(inputs["x"], 1, -1)
        output = in_passes(one, inputs, self.samples_per_pass)
        last = self.channels_last and self.spec.kind == "reconstruct"
        return np.moveaxis(output, -1, 1) if last else output

    def count_parameters(self) -> int:
        """Number of weights."""
        return self._parameters


def _one_thread() -> None:
    """One thread and deterministic kernels; what was set when TensorFlow first ran in this process stays."""
    import logging

    # Its native code greets an import with ten lines about CPU and CUDA; real errors come as exceptions all the same.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow

    tensorflow.config.experimental.enable_op_determinism()
    try:
        tensorflow.config.threading.set_intra_op_parallelism_threads(1)
        tensorflow.config.threading.set_inter_op_parallelism_threads(1)
        tensorflow.config.set_visible_devices([], "GPU")
    except RuntimeError:
        if tensorflow.config.threading.get_intra_op_parallelism_threads() != 1:
            logging.getLogger(__name__).warning("TensorFlow ran before in this process: its threads stay as they were.")


class TensorFlowEmbedder(_TensorFlowFile, Embedder):
    """A Keras or TensorFlow model that gives features: [n, d] is one token, [n, …, d] are tokens."""

    def embed(self, batch: Batch) -> npt.NDArray[np.float32]:
        """Tokens float32 [n, token, d]."""
        return tokens_of(self.run(batch))


class TensorFlowPredictor(_TensorFlowFile, Predictor):
    """A Keras or TensorFlow model that answers the task itself: scores, outputs, or channels [n, 2, …]."""

    def predict(self, batch: Batch) -> npt.NDArray[Any]:
        """The model's output, as :meth:`answer` reads it."""
        return self.answer(self.run(batch), batch)
