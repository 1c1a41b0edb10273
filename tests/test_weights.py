from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from wbench.errors import MissingError, ModelError, ResultError
from wbench.weights import fill_weights, read_weights, rename_weights, save_weights, weights_digest


class Net(nn.Module):
    """At module level, so that the test can pickle it whole."""

    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.embed = nn.Linear(3, width)
        self.norm = nn.BatchNorm1d(width)


class Bomb:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, (f"touch {self.mark}",))


@pytest.fixture
def state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return Net().state_dict()


def same(left: dict[str, torch.Tensor], right: dict[str, torch.Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


def repacked(source: Path, target: Path, *, compression: int = zipfile.ZIP_STORED, **replace: bytes) -> Path:
    """The same archive with other contents of some entries."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", compression) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, replace.get(Path(entry.filename).stem, old.read(entry)))
    return target


@pytest.mark.parametrize("nested", [None, "state_dict", "model_state_dict", "model"])
def test_archives_of_torch_save_are_read(tmp_path: Path, state: dict[str, torch.Tensor], nested: str | None) -> None:
    torch.save({nested: state, "epoch": 3, "loss": 0.5} if nested else state, tmp_path / "w.pth")
    assert same(read_weights(tmp_path / "w.pth"), state)


def test_parameters_and_half_precision_are_read_and_filled(tmp_path: Path) -> None:
    net = Net().half()
    torch.save(OrderedDict(net.named_parameters()) | dict(net.named_buffers()), tmp_path / "w.pt")
    read = read_weights(tmp_path / "w.pt")
    assert {t.dtype for t in read.values()} == {torch.float16, torch.int64}
    other = Net()
    fill_weights(other, read, where="w.pt")
    assert other.embed.weight.dtype is torch.float32
    assert torch.equal(other.embed.weight, net.embed.weight.float())


def test_safetensors_round_trip_and_digest(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    path = tmp_path / "deep" / "w.safetensors"
    save_weights(path, state, {"model": "a/b"})
    assert same(load_file(path), state)  # another reader
    assert same(read_weights(path), state)
    assert [p.name for p in path.parent.iterdir()] == ["w.safetensors"]
    torch.save(dict(reversed(list(state.items()))), tmp_path / "w.pth")
    assert weights_digest(read_weights(tmp_path / "w.pth")) == weights_digest(state)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: s | {"embed.bias": s["embed.bias"] + 1e-7},
        lambda s: s | {"embed.weight": s["embed.weight"].reshape(3, 4)},
        lambda s: s | {"embed.bias": s["embed.bias"].view(torch.int32)},
        lambda s: {f"x.{k}": v for k, v in s.items()},
    ],
)
def test_the_digest_sees_values_shapes_types_and_names(state: dict[str, torch.Tensor], change: Any) -> None:
    assert weights_digest(change(state)) != weights_digest(state)


def test_the_digest_ignores_strides_and_takes_scalars(state: dict[str, torch.Tensor]) -> None:
    turned = state | {"embed.weight": state["embed.weight"].T.contiguous().T}
    assert weights_digest(turned) == weights_digest(state)
    assert weights_digest({"a": torch.tensor(1.0, dtype=torch.bfloat16)}).startswith("sha256:")


def test_tied_weights_are_saved(tmp_path: Path) -> None:
    tensor = torch.ones(3)
    save_weights(tmp_path / "w.safetensors", {"a": tensor, "b": tensor, "c": tensor[:2]})
    assert read_weights(tmp_path / "w.safetensors")["c"].tolist() == [1, 1]


# ------------------------------------------------------------------------------------------------ malicious files


def pickled(mark: Path) -> list[bytes]:
    return [pickle.dumps({"w": Bomb(mark)}, protocol) for protocol in (0, 2, 4, 5)]


@pytest.mark.parametrize("protocol", range(4))
@pytest.mark.parametrize("inside", ["bare", "archive", "legacy"])
def test_pickle_bombs_are_refused_and_not_run(
    tmp_path: Path, state: dict[str, torch.Tensor], protocol: int, inside: str
) -> None:
    mark, path = tmp_path / "executed", tmp_path / "w.pth"
    bomb = pickled(mark)[protocol]
    pickle.loads(bomb)  # it does go off
    assert mark.exists()
    mark.unlink()
    if inside == "archive":
        torch.save(state, tmp_path / "good.pth")
        repacked(tmp_path / "good.pth", path, data=bomb)
    elif inside == "legacy":
        torch.save(Bomb(mark), path, _use_new_zipfile_serialization=False, pickle_protocol=2 + protocol % 3)
    else:
        path.write_bytes(bomb)
    with pytest.raises(ModelError) as caught:
        read_weights(path)
    assert not mark.exists()
    if inside == "archive":
        assert "not opened" in caught.value.what
    if inside == "legacy":
        assert "save_file" in str(caught.value.next_step)


def test_a_bomb_among_good_weights_is_refused(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    mark = tmp_path / "executed"
    torch.save({"state_dict": state, "args": Bomb(mark)}, tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"posix\.system"):
        read_weights(tmp_path / "w.pth")
    assert not mark.exists()


def test_a_whole_module_is_refused_and_the_advice_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = nn.Linear(3, 2)
    torch.save(net, tmp_path / "w.pkl")
    with pytest.raises(ModelError, match=r"torch\.nn\.modules\.linear\.Linear") as caught:
        read_weights(tmp_path / "w.pkl")
    code = str(caught.value.next_step).split('python -c "')[1].rstrip('"')
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "advice", "exec"), {})
    assert same(read_weights("w.safetensors"), net.state_dict())


def test_compiled_modules_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "w.pt", "w") as archive:  # as TorchScript lays it out
        archive.writestr("w/data.pkl", pickle.dumps({}, 2))
        archive.writestr("w/constants.pkl", pickle.dumps((), 2))
    with pytest.raises(ModelError, match="no state dict"):
        read_weights(tmp_path / "w.pt")


def test_archives_that_grow_are_refused_before_they_are_unpacked(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(4_000_000)}, tmp_path / "good.pt")
    path = repacked(tmp_path / "good.pt", tmp_path / "w.pt", compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 50_000
    with pytest.raises(ModelError, match="would grow"):
        read_weights(path)


def test_entries_that_overlap_are_refused(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(50_000)}, tmp_path / "w.pt")
    with zipfile.ZipFile(tmp_path / "w.pt", "a") as archive:
        big = max(archive.infolist(), key=lambda entry: entry.file_size)
        for number in range(3):  # more names for the same bytes
            twin = zipfile.ZipInfo(f"w/data/{number + 7}")
            twin.header_offset, twin.CRC = big.header_offset, big.CRC
            twin.file_size = twin.compress_size = big.file_size
            archive.filelist.append(twin)
        archive._didModify = True
    with pytest.raises(ModelError, match="would grow"):
        read_weights(tmp_path / "w.pt")


def test_tensors_of_stride_zero_are_refused(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(1).expand(1 << 40)}, tmp_path / "w.pt")
    with pytest.raises(ModelError, match="would grow when they are copied"):
        read_weights(tmp_path / "w.pt")


# ------------------------------------------------------------------------------------------------- damaged files


@pytest.mark.parametrize("ending", ["safetensors", "pth"])
@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.99])
def test_truncated_files_are_named(tmp_path: Path, state: dict[str, torch.Tensor], ending: str, share: float) -> None:
    path = tmp_path / f"w.{ending}"
    save_weights(path, state) if ending == "safetensors" else torch.save(state, path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(ModelError, match="damaged") as caught:
        read_weights(path)
    assert caught.value.where == str(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, w=np.zeros(3))
    (tmp_path / "w.npz").write_bytes(buffer.getvalue())
    (tmp_path / "w.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64))
    for name in ("w.npz", "w.h5"):
        with pytest.raises(ModelError):
            read_weights(tmp_path / name)
    torch.save({"epoch": 3}, tmp_path / "w.pt")
    with pytest.raises(ModelError, match="no state dict"):
        read_weights(tmp_path / "w.pt")
    torch.save({}, tmp_path / "w.pt")
    with pytest.raises(ModelError, match="no weights"):
        read_weights(tmp_path / "w.pt")
    with pytest.raises(MissingError, match=r"none\.pt"):
        read_weights(tmp_path / "none.pt")


def test_nan_is_refused_in_and_out(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    state["embed.bias"][1] = torch.nan
    torch.save(state, tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"NaN[\s\S]*embed\.bias"):
        read_weights(tmp_path / "w.pth")
    with pytest.raises(ModelError, match=r"embed\.bias"):
        save_weights(tmp_path / "w.safetensors", state)
    assert not (tmp_path / "w.safetensors").exists()


def test_a_failed_save_is_an_error_and_leaves_the_old_file(tmp_path: Path, state: dict[str, torch.Tensor]) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(ResultError):
        save_weights(tmp_path / "file" / "w.safetensors", state)
    assert (tmp_path / "file").read_text() == "old"


# ------------------------------------------------------------------------------------------------------- filling


def test_differences_are_listed_with_near_names(state: dict[str, torch.Tensor]) -> None:
    given = {k: v for k, v in state.items() if k != "embed.weight"} | {"embedd.weight": state["embed.weight"]}
    given["norm.bias"] = torch.zeros(5)
    net = Net()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    with pytest.raises(ModelError) as caught:
        fill_weights(net, given, where="w.pth")
    text = str(caught.value)
    assert "missing (1): embed.weight (like embedd.weight?)" in text
    assert "not in the model (1): embedd.weight" in text
    assert "shape (1): norm.bias is float32[5], the model has float32[4]" in text
    assert same(net.state_dict(), before)


def test_many_differences_are_cut(state: dict[str, torch.Tensor]) -> None:
    with pytest.raises(ModelError, match=r"missing \(7\): .* and 2 more"):
        fill_weights(Net(), {}, where="w.pth")


def test_a_prefix_is_renamed_only_on_request(state: dict[str, torch.Tensor]) -> None:
    given = {f"module.{k}": v for k, v in state.items()}
    with pytest.raises(ModelError, match="rename_weights"):
        fill_weights(Net(), given, where="w.pth")
    net = Net()
    fill_weights(net, rename_weights(given, {"module.": ""}), where="w.pth")
    assert same(net.state_dict(), state)
    with pytest.raises(ModelError, match="same name"):
        rename_weights({"a.w": torch.ones(1), "w": torch.ones(1)}, {"a.": ""})


def test_a_module_without_storage_is_filled_and_owns_its_weights(state: dict[str, torch.Tensor]) -> None:
    with torch.device("meta"):
        net = Net()
    fill_weights(net, state, where="w.pth")
    assert same(net.state_dict(), state)
    with torch.no_grad():
        net.embed.bias.add_(1)
    assert not torch.equal(net.embed.bias, state["embed.bias"])


def test_integers_do_not_pass_for_weights(state: dict[str, torch.Tensor]) -> None:
    with pytest.raises(ModelError, match="int64"):
        fill_weights(Net(), state | {"embed.bias": torch.zeros(4, dtype=torch.int64)}, where="w.pth")
