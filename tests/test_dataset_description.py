"""Objects that belong to no shard: damage to them is named, and mended from the copy."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.helpers_data import write_recipe
from wbench.cli.inspect import verify
from wbench.dataset.description import DESCRIPTION, description_problems, mend_description, pack
from wbench.dataset.place import place_of
from wbench.dataset.reader import open_dataset
from wbench.errors import DatasetError
from wbench.run.generate import generate


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, str]:
    folder = tmp_path_factory.mktemp("description")
    recipe = write_recipe(folder)
    report = generate(recipe, size="tiny", out=folder / "sound.zarr")
    return recipe, folder / "sound.zarr", report.open().content_digest


@pytest.fixture
def copy(made: tuple[Path, Path, str], tmp_path: Path) -> Path:
    return Path(shutil.copytree(made[1], tmp_path / "copy.zarr"))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20])


def change_a_unit(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert '"units": "dB"' in text
    path.write_text(text.replace('"units": "dB"', '"units": "Np"'), encoding="utf-8")


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


DAMAGES = {
    "an array's description is deleted": ("channel/zarr.json", Path.unlink),
    "an array's description is truncated": ("los/zarr.json", truncate),
    "a unit is changed": ("path_gain_db/zarr.json", change_a_unit),
    "a unit is changed in the root": ("zarr.json", change_a_unit),
    "the root is truncated": ("zarr.json", truncate),
    "the root is deleted": ("zarr.json", Path.unlink),
    "a coordinate is damaged": ("subcarrier/c/0", flip),
    "the copy is damaged": (DESCRIPTION, flip),
    "the copy is deleted": (DESCRIPTION, Path.unlink),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_verify_names_it_and_repair_mends_it(made: tuple[Path, Path, str], copy: Path, damage: str) -> None:
    key, harm = DAMAGES[damage]
    sound = (copy / key).read_bytes()
    harm(copy / key)
    found = CliRunner().invoke(verify, [str(copy)], standalone_mode=False)
    assert found.return_value == 1 or isinstance(found.exception, DatasetError)
    assert key in found.output
    mended = CliRunner().invoke(verify, [str(copy), "--repair"], standalone_mode=False)
    assert mended.exception is None, mended.output
    assert mended.return_value == 0, mended.output
    assert json.loads((copy / key).read_bytes()) == json.loads(sound) if key.endswith(".json") else True
    assert open_dataset(copy).content_digest == made[2]


@pytest.mark.parametrize("damage", [name for name in DAMAGES if "copy" not in name])
def test_the_same_command_mends_it_too(made: tuple[Path, Path, str], copy: Path, damage: str) -> None:
    key, harm = DAMAGES[damage]
    sound = (copy / key).read_bytes()
    harm(copy / key)
    report = generate(made[0], size="tiny", out=copy)
    assert report.made == 0
    assert (copy / key).read_bytes() == sound
    assert report.open().content_digest == made[2]


def test_a_flipped_bit_in_an_entry_is_not_another_dataset(made: tuple[Path, Path, str], copy: Path) -> None:
    entry = copy / ".wbench" / "shard-000000.json"
    text = entry.read_text(encoding="utf-8")
    digest = json.loads(text)["arrays"]["channel"]
    entry.write_text(text.replace(digest, digest[:-1] + ("0" if digest[-1] != "0" else "1")), encoding="utf-8")
    report = generate(made[0], size="tiny", out=copy)
    assert report.made == 1
    assert report.open().content_digest == made[2]


@pytest.mark.parametrize(
    "key", ["../outside/zarr.json", "/outside/zarr.json", ".wbench/shard-000000.json", "a/../../b/zarr.json"]
)
def test_a_copy_that_names_other_objects_is_not_used(copy: Path, key: str) -> None:
    spec = open_dataset(copy).spec.digest
    before = {path for path in copy.parent.rglob("*")}
    (copy / DESCRIPTION).write_bytes(pack(spec, {"zarr.json": (copy / "zarr.json").read_bytes(), key: b"harm"}))
    assert mend_description(place_of(copy), spec) == []
    assert {path for path in copy.parent.rglob("*")} == before
    assert DESCRIPTION in description_problems(place_of(copy))
