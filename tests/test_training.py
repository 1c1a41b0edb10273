"""The training loop: what it computes, that it can be stopped and carried on to the same bits, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from wbench.errors import ModelError, UsageError
from wbench.seeding import rng
from wbench.training import Progress, TrainingSettings, seeded, train
from wbench.training.kept import checkpoints_in

SETTINGS = TrainingSettings(epochs=6, batch=16, lr=1e-2, patience=None)


class Net(nn.Module):
    """With everything that could break a resume: dropout, batch statistics, tied weights."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(5, 5), nn.Linear(5, 5)
        self.second.weight = self.first.weight
        self.norm, self.drop, self.out = nn.BatchNorm1d(5), nn.Dropout(0.3), nn.Linear(5, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.out(self.drop(self.norm(torch.relu(self.second(torch.relu(self.first(x)))))))
        return out[:, 0]


def problem(n: int = 70) -> tuple[torch.Tensor, torch.Tensor]:
    g = np.random.default_rng(0)
    x = g.normal(size=(n, 5)).astype(np.float32)
    return torch.from_numpy(x), torch.from_numpy((x[:, 0] * x[:, 1] + 0.1 * g.normal(size=n)).astype(np.float32))


def run(settings: TrainingSettings = SETTINGS, seed: int = 3, **options: Any) -> tuple[Net, Any]:
    net = seeded(Net, seed, "test")
    x, y = problem()
    x_val, y_val = problem(40)

    def loss(rows: Any, generator: torch.Generator) -> torch.Tensor:
        noise = 0.01 * torch.randn(len(rows), 5, generator=generator)
        return nn.functional.mse_loss(net(x[rows] + noise), y[rows])

    options = {"validate": lambda: float(nn.functional.mse_loss(net(x_val), y_val)), **options}
    return net, train(net, len(x), loss, settings, seed, **options)


def bits(net: nn.Module) -> dict[str, bytes]:
    return {name: tensor.numpy().tobytes() for name, tensor in net.state_dict().items()}


class Stop(BaseException):
    pass


@pytest.mark.parametrize("at", [1, 7, 15, 29])  # 5 steps an epoch: in the middle, at its end, in the last one
def test_a_stopped_training_ends_with_the_same_bits(tmp_path: Path, at: int) -> None:
    whole, log = run()
    path = tmp_path / "c.safetensors"

    def stop(progress: Progress) -> None:
        if progress.step == at:
            torch.rand(at)  # whatever happened in between
            raise Stop

    with pytest.raises(Stop):
        run(checkpoint=path, checkpoint_every_s=0, on_progress=stop)
    steps: list[int] = []
    again, other = run(checkpoint=path, on_progress=lambda p: steps.append(p.step))
    assert steps == list(range(at + 1, 31))  # it did carry on
    assert bits(again) == bits(whole)
    assert other == log
    finished, same = run(checkpoint=path, on_progress=lambda p: steps.append(p.step))
    assert len(steps) == 30 - at
    assert bits(finished) == bits(whole)
    assert same == log
    assert list(tmp_path.iterdir()) == [path]


def test_checkpoints_go_and_other_files_stay(tmp_path: Path) -> None:
    mine, empty = tmp_path / "checkpoints", tmp_path / "new"
    mine.mkdir()
    (mine / "weeks-of-work.pt").write_text("mine", encoding="utf-8")
    for folder in (mine, empty):
        with checkpoints_in(folder, {"cell": "a"}):
            run()
            run(seed=4)
            assert {path.name for path in folder.glob("training-*")} == {f"training-{n}.safetensors" for n in (1, 2)}
    assert [path.name for path in mine.iterdir()] == ["weeks-of-work.pt"]
    assert not empty.exists()


def test_an_early_stop_is_carried_on_as_well(tmp_path: Path) -> None:
    values = [5.0, 4.0, 3.0, 3.5, 3.2, 9.0, 9.0]

    def trained(**options: Any) -> tuple[Net, Any]:
        left = iter(values[trained.done :])  # type: ignore[attr-defined]
        return run(replace(SETTINGS, epochs=7, patience=2), validate=lambda: next(left), **options)

    trained.done = 0  # type: ignore[attr-defined]
    whole, log = trained()
    assert (log.best_epoch, log.best_val_loss, len(log.epochs), log.stopped_early) == (3, 3.0, 5, True)

    def stop(progress: Progress) -> None:
        if progress.step == 17:
            raise Stop

    path = tmp_path / "c"
    with pytest.raises(Stop):
        trained(checkpoint=path, checkpoint_every_s=0, on_progress=stop)
    trained.done = 3  # type: ignore[attr-defined]
    again, other = trained(checkpoint=path)
    assert bits(again) == bits(whole)
    assert other == log
    three, _ = run(replace(SETTINGS, epochs=7), on_progress=None, validate=None)
    assert bits(three) != bits(whole)  # without validation the last weights stand


def test_the_steps_are_adamws_with_warm_up_and_cosine() -> None:
    """The same by hand: PyTorch's AdamW and schedulers, order and rates written out."""
    settings = TrainingSettings(epochs=4, batch=32, lr=0.05, weight_decay=0.1, warmup=0.25, floor=0.1, clip=None)
    x, y = problem()

    def linear() -> nn.Linear:
        return seeded(lambda: nn.Linear(5, 1), 0, "w")

    net, rates = linear(), []

    def error(model: nn.Module, rows: Any) -> torch.Tensor:
        return nn.functional.mse_loss(model(x[rows])[:, 0], y[rows])

    log = train(net, 70, lambda rows, _: error(net, rows), settings, 1, on_progress=lambda p: rates.append(p.lr))
    hand = linear()
    groups = [{"params": [hand.weight], "weight_decay": 0.1}, {"params": [hand.bias], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=0.05)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 9, eta_min=0.005)
    expected = []
    for step in range(12):  # 3 steps an epoch, the first 3 warm up
        rows = np.array_split(rng(1, "training order", step // 3).permutation(70), 3)[step % 3]
        rate = 0.05 * (step + 1) / 3 if step < 3 else cosine.get_last_lr()[0]
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        error(hand, rows).backward()
        optimizer.step()
        expected.append(rate)
        if step >= 3:
            optimizer.param_groups[0]["lr"] = rate
            cosine.step()
    np.testing.assert_allclose(rates, expected, rtol=1e-6)
    torch.testing.assert_close(net.state_dict(), hand.state_dict(), rtol=1e-5, atol=1e-6)
    assert [record.epoch for record in log.epochs] == [1, 2, 3, 4]
    assert log.epochs[-1].loss < log.epochs[0].loss


def test_a_seed_decides_and_the_global_generator_does_not() -> None:
    torch.rand(3)
    before = torch.get_rng_state(), torch.get_num_threads()
    one, log = run()
    torch.testing.assert_close(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]
    torch.rand(17)
    two, same = run()
    assert bits(one) == bits(two)
    assert log == same
    assert bits(run(seed=4)[0]) != bits(one)
    assert not one.training


def test_groups_have_their_own_rate_and_what_is_frozen_stays() -> None:
    net = seeded(Net, 0, "test")
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    x, y = problem()
    net.first.requires_grad_(False)
    groups = [(list(net.out.parameters()), 1.0), ([*net.first.parameters(), *net.second.parameters()], 1e-5)]
    train(net, 70, lambda rows, _: nn.functional.mse_loss(net(x[rows]), y[rows]), SETTINGS, 0, groups=groups)
    after = net.state_dict()
    torch.testing.assert_close(after["first.bias"], before["first.bias"], rtol=0, atol=0)
    torch.testing.assert_close(after["norm.weight"], before["norm.weight"], rtol=0, atol=0)
    assert 0 < (after["second.bias"] - before["second.bias"]).abs().max() < 1e-5
    assert (after["out.weight"] - before["out.weight"]).abs().max() > 1e-2


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_the_training(bad: float) -> None:
    net = nn.Linear(5, 1)
    x, y = problem()

    def loss(rows: Any, _: Any) -> torch.Tensor:
        loss.calls += 1  # type: ignore[attr-defined]
        return nn.functional.mse_loss(net(x[rows])[:, 0], y[rows]) * (bad if loss.calls == 7 else 1)  # type: ignore[attr-defined]

    loss.calls = 0  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match="step 7 of 30") as caught:
        train(net, 70, loss, SETTINGS, 0)
    assert "smaller learning rate" in str(caught.value)
    with pytest.raises(ModelError, match="epoch 1"):
        run(validate=lambda: bad)


def test_what_a_training_refuses(tmp_path: Path) -> None:
    path = tmp_path / "c"
    run(checkpoint=path)
    with pytest.raises(ModelError, match="another lr"):
        run(replace(SETTINGS, lr=1e-3), checkpoint=path)
    with pytest.raises(ModelError, match="another seed"):
        run(seed=9, checkpoint=path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ModelError, match="cannot be read"):
        run(checkpoint=path)
    net = nn.Linear(2, 1).requires_grad_(False)
    with pytest.raises(ModelError, match="nothing to train"):
        train(net, 5, lambda *_: torch.zeros(()), SETTINGS, 0)
    with pytest.raises(ModelError, match="no training samples"):
        train(net, 0, lambda *_: torch.zeros(()), SETTINGS, 0)
    with pytest.raises(UsageError, match="lr = 0"):
        TrainingSettings(1, 1, lr=0)
    with pytest.raises(UsageError, match=r"epochs = 0, .*warmup = 1"):
        TrainingSettings(0, 1, warmup=1)


def test_few_samples_get_more_epochs_and_patience_in_proportion() -> None:
    settings = TrainingSettings(20, 64, patience=5)
    assert settings.lasting(10_000, 800) == settings
    few = settings.lasting(70, 800)
    assert (few.epochs, few.patience) == (400, 100)


def test_progress_and_half_precision() -> None:
    seen: list[Progress] = []
    _, log = run(replace(SETTINGS, precision="bfloat16"), on_progress=seen.append)
    assert [p.step for p in seen] == list(range(1, 31))
    assert [p.epoch for p in seen][::5] == [1, 2, 3, 4, 5, 6]
    assert [p.loss for p in seen][4::5] == [record.loss for record in log.epochs]
    assert seen[0].val_loss is None
    assert seen[-1].val_loss == log.epochs[-1].val_loss
    assert all(p.samples_per_s > 0 for p in seen)
    assert log != run()[1]
