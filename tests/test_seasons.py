"""Hidden seasons (split rule S6): keyed root seeds, a secret that nothing shows, hidden test parts, the gap."""

from __future__ import annotations

import base64
import hashlib
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.helpers_data import cli, write_recipe
from tests.helpers_lab import Lab
from wbench.curves import season_gaps
from wbench.errors import DatasetError, DatasetNotFoundError, ResultError, SpecError
from wbench.result import read_result
from wbench.run.evaluate import evaluate
from wbench.run.generate import generate
from wbench.run.plan import build_spec, dataset_path, load_task
from wbench.run.score import score
from wbench.seeding import SeasonSeed
from wbench.task.audit import audit
from wbench.task.part import TaskData

KEY, OTHER = bytes(range(100, 132)), bytes(range(32))
NAME = SeasonSeed(KEY).name


def by_rfc_2104(key: bytes, text: bytes) -> bytes:
    """HMAC-SHA256 written out: two hashes with the padded key."""
    padded = key.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in padded) + text).digest()
    return hashlib.sha256(bytes(b ^ 0x5C for b in padded) + inner).digest()


def traces(key: bytes) -> list[bytes]:
    """What the secret could look like in a file: as digits, bytes, base 64, a number, a list of numbers."""
    number = str(int.from_bytes(key, "big")), str(int.from_bytes(key, "little")), ", ".join(map(str, key))
    texts = [key.hex(), key.hex().upper(), base64.b64encode(key).decode(), *number]
    return [key, key[::-1], *(text.encode() for text in texts), key.hex()[:16].encode(), key[:8]]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A recipe with its published dataset and the hidden one of a season; the task ``los`` is on it."""
    lab = Lab(tmp_path_factory.mktemp("seasons"))
    extra = "delay_spread_s = 30e-9\n"  # in front of the table of the band
    recipe = write_recipe(lab.root, "lab-snap", samples=400, block=50, shard_blocks=4, subcarriers=16)
    recipe.write_text(recipe.read_text().replace("bs = ", extra + "bs = ").replace("120e3", "480e3"))
    for season in (None, SeasonSeed(KEY)):
        path = dataset_path("lab-snap", "tiny", data=lab.data, season=season.name if season else "")
        assert not generate(recipe, size="tiny", out=path, season=season).failures
    return lab


@pytest.fixture
def lab(built: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """The same, with copies of the datasets that a test may spoil as the data folder."""
    monkeypatch.setenv("WBENCH_DATA", str(shutil.copytree(built.data, tmp_path / "data")))
    return built


def test_name_and_roots_are_hmacs_of_the_seed(tmp_path: Path) -> None:
    seed = SeasonSeed(KEY)
    assert seed.name == by_rfc_2104(KEY, b"name\0").hex()[:12]
    assert seed.root("sha256:abc") == int(by_rfc_2104(KEY, b"root\0sha256:abc").hex(), 16)
    path = tmp_path / "season.seed"
    path.write_text(f"  {KEY.hex().upper()}\n")
    assert SeasonSeed.read(path).root("x") == seed.root("x") != SeasonSeed(OTHER).root("x")


def test_the_seed_does_not_show_itself(tmp_path: Path) -> None:
    seed = SeasonSeed(KEY)
    assert not [trace for trace in traces(KEY) if trace in f"{seed!r} {seed} {[seed]}".encode()]
    with pytest.raises(TypeError, match="other processes"):
        pickle.dumps(seed)
    for text in (KEY.hex()[:-1], f"{KEY.hex()} x", KEY.hex().replace("6", "g"), "ü" + KEY.hex(), ""):
        path = tmp_path / "wrong"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(SpecError) as caught:
            SeasonSeed.read(path)
        assert KEY.hex()[:8] not in str(caught.value)
        assert "token_hex(32)" in str(caught.value)
    with pytest.raises(SpecError, match="not the seed itself") as caught:
        SeasonSeed.read(KEY.hex())
    assert KEY.hex()[:8] not in str(caught.value)


def test_seasons_sizes_and_recipes_have_datasets_of_their_own(tmp_path: Path) -> None:
    one, two = write_recipe(tmp_path, "one", extra="delay_spread_s = 50e-9\n"), write_recipe(tmp_path, "two")
    specs = {
        (path.stem, season): build_spec(path, "tiny", season=season and SeasonSeed(season))[0]
        for path in (one, two)
        for season in (None, KEY, OTHER)
    }
    assert len({spec.digest for spec in specs.values()}) == len({spec.seed for spec in specs.values()}) + 1 == 6
    public, mine = specs["one", None], specs["one", KEY]
    assert mine.seed == SeasonSeed(KEY).root(public.digest)
    assert mine.replaced(seed=public.seed, season="") == public
    assert "season" not in public.model_dump()  # digests of earlier datasets stay what they are
    rounded = build_spec(one, "tiny", season=SeasonSeed(KEY), storage="rounded")[0]
    assert rounded.seed == mine.seed
    assert (mine.seed_option, public.seed_option) == ("--season-seed FILE", "--seed 11")
    with pytest.raises(SpecError, match="A season gives the root seed"):
        build_spec(one, "tiny", 3, season=SeasonSeed(KEY))


def test_the_seed_is_in_no_file_and_in_no_log(lab: Lab, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(tmp_path / "data")
    recipe, secret = lab.root / "lab-snap.toml", tmp_path / "season.seed"
    secret.write_text(KEY.hex())
    said = [cli(capsys, "generate", recipe, "--size", "tiny")]
    said.append(cli(capsys, "generate", recipe, "--size", "tiny", "--season-seed", secret))
    assert f"season  {NAME}" in said[-1][1]
    again = cli(capsys, "generate", recipe, "--size", "tiny", "--season-seed", secret)
    assert "0 shards made" in again[1]
    out = tmp_path / "results"
    options = ("--size", "tiny", "--out", out, "--season", NAME)
    said.append(cli(capsys, "evaluate", "--model", "wbench/majority", "--task", lab.toml("los"), *options))
    data = tmp_path / "data" / f"lab-snap-tiny-season{NAME}.zarr"
    said += [cli(capsys, command, data) for command in ("inspect", "verify")]
    assert [code for code, *_ in said] == [0] * len(said)
    secret.unlink()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "result.json" for path in files)
    contents = [path.read_bytes() + path.name.encode() for path in files]
    contents += [f"{out}{err}".encode() for _, out, err in [*said, again]]
    assert not [trace for trace in traces(KEY) for content in contents if trace in content]
    assert any(NAME.encode() in content for content in contents)  # the search can find something


def test_training_stays_and_the_test_part_is_the_whole_hidden_dataset(lab: Lab) -> None:
    public, task = lab.task("los"), load_task(lab.toml("los"), size="tiny", season=NAME)
    for part in ("train", "val"):
        np.testing.assert_array_equal(task.ids(part), public.ids(part))  # type: ignore[arg-type]
        ours, theirs = (next(t.pairs(part, t.ids(part)[:20])) for t in (task, public))  # type: ignore[arg-type]
        np.testing.assert_array_equal(ours[0].x["H"], theirs[0].x["H"])
        np.testing.assert_array_equal(ours[1]["label"], theirs[1]["label"])
    dataset = task.dataset("test")
    assert (len(task.ids("test")), dataset.spec.season) == (len(dataset), NAME) == (400, NAME)
    assert task.spec.digest != public.spec.digest
    assert (task.spec.name, task.spec.version) == (public.spec.name, public.spec.version)
    assert audit(task).violations == ()  # no hidden channel is, bit by bit, one of training
    again = generate(lab.root / "lab-snap.toml", size="tiny", season=SeasonSeed(KEY), out=dataset.path.with_name("b"))
    assert again.open().content_digest == dataset.content_digest


def test_what_cannot_be(lab: Lab, tmp_path: Path) -> None:
    task = lab.toml("los")
    with pytest.raises(SpecError, match="12 hexadecimal digits"):
        load_task(task, size="tiny", season="../../elsewhere")
    with pytest.raises(DatasetNotFoundError) as missing:
        load_task(task, size="tiny", season="0" * 12)
    assert "--season-seed FILE" in str(missing.value)
    squares = lab.toml("los", tmp_path, split={"rule": "S1"})
    with pytest.raises(SpecError, match="stand beside one of training"):
        load_task(squares, size="tiny", season=NAME)
    public = dataset_path("lab-snap", "tiny")
    public.rename(dataset_path("lab-snap", "tiny", season="0" * 12))  # a published dataset under a season's name
    with pytest.raises(DatasetError, match="another version"):
        load_task(task, size="tiny", season="0" * 12)


def test_results_say_so_and_the_gap_is_between_the_two(lab: Lab, tmp_path: Path) -> None:
    models, task = ["wbench/majority", "wbench/knn"], lab.toml("los")
    public = evaluate(models, [task], size="tiny", out=tmp_path / "results")
    season = evaluate(models, [task], size="tiny", out=tmp_path / "results", season=NAME)
    assert [cell.status for cell in season.cells] == ["done", "done"]  # not taken for the published ones
    for one, other, cell in zip(public.results, season.results, season.cells, strict=True):
        assert (one.task.season, other.task.season, other.n_test) == ("", NAME, 400)
        assert other.datasets[-1].recipe == f"lab-snap-season{NAME}"
        assert (one.n_train, one.calibration) == (other.n_train, other.calibration)  # the same fit
        assert cell.path is not None
        assert read_result(cell.path).task.season == NAME
        stored, scores = score(cell.path, task=task)
        assert scores == stored.scores
    gaps = season_gaps([*public.results, *season.results], "f1_macro")
    assert [(gap.model, gap.season) for gap in gaps] == [("wbench/knn", NAME), ("wbench/majority", NAME)]
    for gap in gaps:
        values = {
            r.task.season: r.primary().value for r in (*public.results, *season.results) if r.model.name == gap.model
        }
        assert (gap.public, gap.hidden) == (values[""], values[NAME])
        assert gap.gap == gap.loss == gap.public - gap.hidden
        assert gap.se is not None
        assert abs(gap.gap) < 4 * gap.se  # both are drawn alike: nothing to be gained by knowing one
    with pytest.raises(ResultError, match="no score"):
        season_gaps([*public.results, *season.results], "top1")


def test_budgets_and_shots_are_drawn_as_in_public(lab: Lab) -> None:
    for how in ({"percent": 20.0}, {"shots": 3}):
        tasks = [load_task(lab.toml("los"), size="tiny", season=season) for season in ("", NAME)]
        shown, hidden = (TaskData(task, "train", **how) for task in tasks)
        assert shown.ids.tolist() == hidden.ids.tolist()


def test_an_incomplete_hidden_dataset_is_an_error(lab: Lab) -> None:
    path = dataset_path("lab-snap", "tiny", season=NAME)
    shutil.rmtree(path)
    generate(lab.root / "lab-snap.toml", size="tiny", season=SeasonSeed(KEY), shards=(0, 2))
    with pytest.raises(DatasetError, match="1 of 2 shards are missing"):
        load_task(lab.toml("los"), size="tiny", season=NAME)
