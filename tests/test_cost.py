"""What a result says about cost: operations by closed forms, latencies, memory; and memory that runs out."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import wbench
from tests.helpers_files import run_one, write_model
from tests.helpers_lab import Lab
from tests.helpers_models import complex_normal, make_batch
from wbench import machine
from wbench.errors import UsageError
from wbench.run.cost import CallCost, counted_flops, model_costs
from wbench.run.evaluate import evaluate

T, D, N = 7, 8, 5


def attention(width: int) -> int:
    """Projections in and out, and two products of T × T per sample."""
    return N * (2 * T * width * 3 * width + 2 * 2 * T * T * width + 2 * T * width * width)


def recurrent(gates: int, *sizes: tuple[int, int]) -> int:
    return sum(2 * N * T * gates * hidden * (inside + hidden) for inside, hidden in sizes)


CASES: list[tuple[str, nn.Module, Any, int]] = [
    ("linear", nn.Linear(D, 3), (N, D), 2 * N * D * 3),
    ("convolution", nn.Conv2d(2, 3, 3, padding=1), (N, 2, 6, 6), 2 * N * 3 * 2 * 9 * 36),
    ("lstm", nn.LSTM(D, 16, batch_first=True), (N, T, D), recurrent(4, (D, 16))),
    (
        "two layers, both ways",
        nn.LSTM(D, 16, num_layers=2, bidirectional=True),
        (T, N, D),
        recurrent(4, (D, 16), (D, 16), (32, 16), (32, 16)),
    ),
    ("gru", nn.GRU(D, 16), (T, N, D), recurrent(3, (D, 16))),
    (
        "encoder layer",
        nn.TransformerEncoderLayer(D, 2, 16, batch_first=True),
        (N, T, D),
        attention(D) + N * 2 * 2 * T * D * 16,
    ),
]


@pytest.mark.parametrize(("module", "shape", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_operations_are_those_of_the_closed_form(module: nn.Module, shape: Any, expected: int, mode: Any) -> None:
    def call() -> None:
        with mode():
            module.eval()(torch.randn(shape))

    assert counted_flops(call) == expected


def test_fused_attention_counts_and_numpy_does_not() -> None:
    q = torch.randn(2, 4, 10, 8)
    assert counted_flops(lambda: functional.scaled_dot_product_attention(q, q, q)) == 2 * 2 * 2 * 4 * 10 * 10 * 8
    assert counted_flops(lambda: np.ones((8, 8)) @ np.ones((8, 8))) == 0


NET = """
    class Mine(ModulePredictor):
        info = wbench.ModelInfo("test/net", revision="1", licence="MIT", summary="s", pretraining_samples=12)

        def build(self):
            return nn.Sequential(nn.Flatten(), nn.Linear(256, 32), nn.ReLU(), nn.Linear(32, 2))
"""
HEAD = "import wbench\nfrom torch import nn\nfrom wbench.adapters import ModulePredictor\n"


def test_a_result_says_what_it_cost(lab: Lab, tmp_path: Path) -> None:
    cell = run_one(write_model(tmp_path, NET, head=HEAD), lab.toml("los"), tmp_path)
    assert cell.result is not None, cell.reason
    cost = cell.result.cost
    # Passes of 16 samples: 64 are four whole ones.
    assert cost.flops_per_sample == 2 * 256 * 32 + 2 * 32 * 2
    assert cost.latency_1_s is not None
    assert cost.latency_64_s is not None
    assert 0 < cost.latency_1_s < 10
    assert cost.latency_64_s < 64 * cost.latency_1_s
    assert cost.device == f"cpu: {machine.device_name().removeprefix('cpu: ')}"
    assert cost.peak_device_bytes is None
    assert cell.result.model.pretraining_samples == 12
    if cost.peak_memory_bytes is not None:  # Python with NumPy and PyTorch takes more than 50 MB
        assert 50e6 < cost.peak_memory_bytes < 100e9


def test_an_embedder_under_a_head_counts_both(lab: Lab, tmp_path: Path) -> None:
    body = NET.replace("ModulePredictor", "ModuleEmbedder").replace("nn.Linear(32, 2)", "nn.Linear(32, 4)")
    reference = write_model(tmp_path, body, head=HEAD.replace("ModulePredictor", "ModuleEmbedder"))
    for options in ({}, {"seeds": 1, "budgets": [50.0]}, {"cache_bytes": 0}):  # features made, kept, and not kept
        out = tmp_path / ("plain" if "cache_bytes" in options else "kept")
        (cell,) = evaluate([reference], [lab.toml("los")], size="tiny", out=out, **options).cells  # type: ignore[arg-type]
        assert cell.result is not None, cell.reason
        assert cell.result.cost.flops_per_sample == 2 * 256 * 32 + 2 * 32 * 4  # the linear head is scikit-learn's
        assert cell.result.cost.latency_64_s is not None
        assert cell.result.cost.latency_1_s is not None


class Slow(wbench.Predictor):
    """Answers after ``seconds`` per sample, and writes down how many it was asked for."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.asked: list[int] = []

    def predict(self, batch: wbench.Batch) -> Any:
        self.asked.append(len(batch))
        time.sleep(self.seconds * len(batch))
        return np.zeros((len(batch), 2))


def test_slow_models_are_not_asked_again_for_long(lab: Lab) -> None:
    task = lab.task("los")
    slow = Slow(0.03)
    found = model_costs(slow, task, 0.03, 3.0)
    assert found.latency_64_s is None  # it would be 1.9 s
    assert found.latency_1_s is not None
    assert found.latency_1_s >= 0.03
    assert max(slow.asked) == 32  # operations are counted once
    assert 0.03 * sum(slow.asked) < 1.5
    hopeless = Slow(2.0)
    assert model_costs(hopeless, task, 2.0, 3.0) == CallCost()
    assert not hopeless.asked
    fast = Slow(0.0)
    found = model_costs(fast, task, 1e-6, 1e-3)
    assert sorted(set(fast.asked)) == [1, 32, 64]
    assert len(fast.asked) <= 2 * 8 + 1
    assert found.latency_64_s is not None


# --- memory that runs out ----------------------------------------------------------------------------------------


def test_memory_errors_of_all_libraries_are_known() -> None:
    known = [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory: you tried …"),
        RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Failed to allocate memory for requested buffer"),
        type("ResourceExhaustedError", (Exception,), {})("OOM when allocating tensor"),
    ]
    assert all(machine.out_of_memory(error) for error in known)
    assert not machine.out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
    assert not machine.out_of_memory(ValueError("out of memory"))


def test_pytorch_s_own_allocator_is_recognised() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert machine.out_of_memory(caught.value)


@pytest.mark.parametrize("most", [1, 3, 16, 100])
def test_smaller_batches_answer_the_same(most: int, caplog: pytest.LogCaptureFixture) -> None:
    batch = make_batch(complex_normal(np.random.default_rng(0), 40, 1, 1, 2, 3))
    asked: list[int] = []

    def answer(some: Any) -> Any:
        asked.append(len(some))
        if len(some) > most:
            raise MemoryError
        return np.abs(some.x["H"])[:, 0, 0, 0]

    with caplog.at_level(logging.WARNING):
        np.testing.assert_array_equal(machine.answer_in_parts(answer, batch), np.abs(batch.x["H"])[:, 0, 0, 0])
    assert max(size for size in asked if size <= most) <= most
    assert ("Memory ran out with 40 samples" in caplog.text) == (most < 40)


MEMORY = """
    class Mine(wbench.Predictor):
        def predict(self, batch):
            if len(batch) > {most}:
                raise MemoryError("too many")
            return np.abs(batch.x["H"][:, 0, 0, 0, :2])
"""


def test_a_cell_goes_on_with_smaller_batches_and_fails_clearly_without(lab: Lab, tmp_path: Path) -> None:
    done = run_one(write_model(tmp_path, MEMORY.format(most=20)), lab.toml("los"), tmp_path)
    assert done.status == "done", done.reason
    assert done.result is not None
    assert done.result.cost.latency_64_s is None  # there was no memory for it
    whole = run_one(write_model(tmp_path, MEMORY.format(most=10**6)), lab.toml("los"), tmp_path / "whole")
    assert whole.result is not None
    assert whole.result.predictions.digest == done.result.predictions.digest
    failed = run_one(write_model(tmp_path, MEMORY.format(most=0)), lab.toml("los"), tmp_path)
    assert failed.status == "failed"
    assert "ran out of memory in predict" in failed.reason
    assert "MemoryError: too many" in failed.reason


def test_an_embedder_goes_on_with_smaller_batches(lab: Lab, tmp_path: Path) -> None:
    body = """
        class Mine(wbench.Embedder):
            def embed(self, batch):
                if len(batch) > 50:
                    raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
                return np.abs(batch.x["H"]).reshape(len(batch), 1, -1).astype("f4")
    """
    cell = run_one(write_model(tmp_path, body), lab.toml("los"), tmp_path)
    assert cell.status == "done", cell.reason


def test_a_fit_without_memory_fails_clearly(lab: Lab, tmp_path: Path) -> None:
    body = """
        class Mine(wbench.Predictor):
            def fit(self, train, val, seed):
                import torch
                torch.empty(1 << 60, dtype=torch.uint8)

            def predict(self, batch):
                return np.zeros((len(batch), 2))
    """
    cell = run_one(write_model(tmp_path, body), lab.toml("los"), tmp_path)
    assert cell.status == "failed"
    assert "ran out of memory in fit" in cell.reason
    assert "smaller batches" in cell.reason


# --- devices -----------------------------------------------------------------------------------------------------


def test_without_a_gpu_the_cpu_does_it_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert machine.resolve_device("cpu") == ("cpu", "")
    device, note = machine.resolve_device("cuda")
    assert device == "cpu"
    assert "no GPU that PyTorch can use" in note
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert machine.resolve_device("cuda") == ("cuda", "")
    assert machine.resolve_device("cuda:1")[0] == "cpu"


def test_only_devices_that_there_are_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert machine.asked_device() == "cpu"
    monkeypatch.setenv("WBENCH_DEVICE", "CUDA:1")
    assert machine.asked_device() == "cuda:1"
    monkeypatch.setenv("WBENCH_DEVICE", "tpu")
    with pytest.raises(UsageError, match="no device 'tpu'"):
        machine.asked_device()


def test_the_peak_of_memory_is_that_of_what_ran() -> None:
    machine.reset_peaks()
    before = machine.peak_host_bytes()
    if before is None:
        pytest.skip("this system does not tell")
    block = np.ones(25_000_000)  # 200 MB
    del block
    after = machine.peak_host_bytes()
    assert after is not None
    assert after - before > 150e6
