"""Dataset cards: from the dataset's own words, the same text every time, accepted by MLCommons' validator."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import scipy.io

from tests.helpers_export import handmade
from wbench.dataset.card import CROISSANT_CONTEXT, croissant, markdown_card, write_card
from wbench.dataset.ingest import ingest
from wbench.dataset.manifest import entry_path
from wbench.dataset.reader import open_dataset
from wbench.digest import file_digest
from wbench.errors import DatasetError, OutputConflictError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # its dependencies' deprecations
    import mlcroissant


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return handmade(tmp_path_factory.mktemp("card") / "a.zarr", time=2, cols=4, subcarriers=8)[0]


@pytest.fixture(scope="module")
def ingested(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ingested")
    scipy.io.savemat(folder / "DATA_Htestin.mat", {"HT": np.full((5, 2048), 0.6)})
    return ingest("csinet", folder / "DATA_Htestin.mat", folder / "in.zarr").open()


def validated(path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mlcroissant.Dataset(jsonld=str(path))  # raises ValidationError


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("which", ["made", "ingested"])
def test_the_validator_accepts_it(which, request, tmp_path):
    dataset = request.getfixturevalue(which)
    document = croissant(dataset, url="https://example.org/d", published="2026-01-31", creator="A lab")
    path = tmp_path / "croissant.json"
    write_card(json.dumps(document), path)
    metadata = validated(path).metadata
    issues = metadata.ctx.issues
    assert not issues.errors
    assert not issues.warnings
    assert metadata.name == f"{dataset.spec.recipe}-{dataset.spec.size}"
    (records,) = metadata.record_sets
    fields = {field.name: field for field in records.fields}
    assert set(fields) == set(dataset.array_names)
    for name, field in fields.items():
        array = dataset.array(name)
        shape = array.shape[1:] + ((2,) if array.dtype.kind == "c" else ())
        assert (field.array_shape_tuple or ()) == shape, name


@pytest.mark.filterwarnings("ignore")
def test_without_words_of_the_publisher_there_is_one_hint_and_no_error(made, tmp_path):
    path = tmp_path / "croissant.json"
    write_card(json.dumps(croissant(made)), path)
    issues = validated(path).metadata.ctx.issues
    assert not issues.errors
    assert ["datePublished" in warning for warning in issues.warnings] == [True]


@pytest.mark.filterwarnings("ignore")
def test_the_validator_can_refuse(made):
    """The test above can fail: a field of an array set that is not there is an error."""
    document = croissant(made)
    document["recordSet"][0]["field"][0]["source"]["fileSet"]["@id"] = "elsewhere"
    with pytest.raises(mlcroissant.ValidationError):
        mlcroissant.Dataset(jsonld=document)


def test_our_context_is_the_validators(made):
    from mlcroissant._src.core.context import Context, CroissantVersion
    from mlcroissant._src.core.rdf import make_context

    theirs = make_context(Context(conforms_to=CroissantVersion.V_1_1))
    assert {key: CROISSANT_CONTEXT.get(key) for key in theirs} == theirs


def test_types_and_files(made):
    document = croissant(made)
    fields = {field["name"]: field for field in document["recordSet"][0]["field"]}
    assert fields["channel"]["dataType"] == "cr:Float32"
    assert fields["channel"]["arrayShape"] == "2,1,4,8,2"
    assert "complex64" in fields["channel"]["description"]
    assert fields["los"]["dataType"] == "cr:Int8"
    assert "arrayShape" not in fields["los"]
    assert document["license"] == "https://spdx.org/licenses/CC-BY-4.0.html"
    metadata_file = document["distribution"][0]
    assert "sha256:" + metadata_file["sha256"] == file_digest(made.path / "zarr.json")
    assert made.content_digest in document["citeAs"]


def test_the_same_dataset_gives_the_same_text(made):
    again = open_dataset(made.path)
    assert markdown_card(made) == markdown_card(again)
    assert json.dumps(croissant(made)) == json.dumps(croissant(again))


def test_markdown_says_what_is_there(made):
    text = markdown_card(made)
    assert text.startswith("# handmade-tiny\n")
    assert "| `channel` | sample, time, rx, tx, subcarrier | 23 × 2 × 1 × 4 × 8 | complex64 | 1 |" in text
    assert "| no path (channel is 0) | 1 | 4.3 % |" in text
    assert f"`{made.content_digest}`" in text
    assert "drawn by hand" in text
    assert "1 rows × 4 columns" in text
    assert "Unknown" not in text


def test_markdown_says_what_is_unknown(ingested):
    text = markdown_card(ingested)
    assert "`carrier_hz`" in text.split("## Unknown")[1]
    assert "wbench ingest csinet FILE" in text
    assert "| unknown | 5 | 100.0 % |" in text
    assert str(ingested.path.parent) not in text  # nobody's folders in a card made to be published


def test_zarr_does_not_mind_cards_in_its_folder(tmp_path):
    dataset, arrays = handmade(tmp_path / "a.zarr", cols=2, subcarriers=2)
    write_card(markdown_card(dataset), dataset.path / "README.md")
    write_card(json.dumps(croissant(dataset)), dataset.path / "croissant.json")
    again = open_dataset(dataset.path)
    assert again.array_names == dataset.array_names
    np.testing.assert_array_equal(again.read("channel", np.arange(len(again))), arrays["channel"])


def test_incomplete_datasets_have_no_card(tmp_path):
    dataset, _ = handmade(tmp_path / "a.zarr", cols=2, subcarriers=2)
    entry_path(dataset.path, 0).unlink()
    for make in (markdown_card, croissant):
        with pytest.raises(DatasetError, match="missing"):
            make(open_dataset(dataset.path))


def test_another_file_is_left_untouched(made, tmp_path):
    out = tmp_path / "README.md"
    write_card(markdown_card(made), out)
    write_card(markdown_card(made), out)  # the same again
    out.write_text("mine")
    with pytest.raises(OutputConflictError, match="left untouched"):
        write_card(markdown_card(made), out)
    assert out.read_text() == "mine"
