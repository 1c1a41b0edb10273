"""Canonical JSON, digests, and the error tree."""

from __future__ import annotations

import hashlib
import inspect
import json
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from wbench import errors
from wbench.digest import array_digest, arrays_digest, canonical_json, file_digest, value_digest

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
@settings(max_examples=60, deadline=None)
def test_canonical_json_round_trips(value):
    text = canonical_json(value)
    assert json.loads(text) == value
    assert canonical_json(json.loads(text)) == text


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=6))
@settings(max_examples=40, deadline=None)
def test_value_digest_does_not_depend_on_the_order_of_keys(table):
    turned = dict(reversed(list(table.items())))
    assert value_digest(table) == value_digest(turned)


def test_digest_of_a_value_is_the_sha256_of_its_canonical_json():
    assert value_digest({"b": 1, "a": [1.5, "µ"]}) == (
        "sha256:" + hashlib.sha256('{"a":[1.5,"µ"],"b":1}'.encode()).hexdigest()
    )
    assert value_digest(1) != value_digest(1.0) != value_digest("1")
    for value in (float("nan"), float("inf")):
        with pytest.raises(ValueError, match="not JSON compliant"):
            canonical_json({"x": value})


@given(hnp.arrays(np.float32, hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4)))
@settings(max_examples=40, deadline=None)
def test_array_digest_is_of_values_not_of_layout(array):
    digest = array_digest(array)
    assert digest == array_digest(np.asfortranarray(array))
    assert digest == array_digest(array.astype(">f4"))
    padded = np.empty((*array.shape[:-1], 2 * array.shape[-1]), np.float32)
    padded[..., ::2] = array
    assert digest == array_digest(padded[..., ::2])


def test_array_digest_tells_bits_shapes_and_dtypes_apart():
    base = np.zeros((2, 3), np.float32)
    others = [
        base.reshape(3, 2),
        base.astype(np.int32),
        -base,
        base.astype(np.float64),
        base[:1],
        np.full((2, 3), 1e-45),
    ]
    digests = {array_digest(array) for array in (base, *others)}
    assert len(digests) == len(others) + 1
    assert array_digest(np.float64(1.0)) != array_digest(np.ones(1))
    assert arrays_digest({"a": base, "b": base}) == arrays_digest({"b": base, "a": base})


def test_golden_array_digest():
    """Pinned: the audit of stored datasets compares with what older versions wrote."""
    head = b"f4 (3,)"
    expected = hashlib.sha256(head + np.array([1, 2, 3], "<f4").tobytes()).hexdigest()
    assert array_digest(np.array([1, 2, 3], np.float32)) == f"sha256:{expected}"


def test_file_digest(tmp_path):
    (tmp_path / "x").write_bytes(b"abc")
    assert file_digest(tmp_path / "x") == "sha256:" + hashlib.sha256(b"abc").hexdigest()


TREE = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, errors.WBenchError) and kind is not errors.UnknownNameError
]


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_errors_say_all_and_cross_process_borders(kind):
    error = kind("It broke.", where="here", why="because", next_step="do this")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert str(copy) == str(error) == "It broke.\n  where: here\n  why: because\n  next: do this"
    assert copy.exit_code == error.exit_code in (1, 2, 3)
    assert kind.__name__ in errors.__doc__
    assert any(base.__module__ == "builtins" and base is not object for base in kind.__mro__)


def test_unknown_names_suggest_near_ones():
    known = ["snap-umi", "snap-uma", "fb-umi", "mob-uma"]
    error = errors.UnknownNameError("recipe", "SNAP-UMY", known)
    assert "snap-umi" in error.why
    assert error.next_step == "wbench list recipes"
    assert isinstance(pickle.loads(pickle.dumps(error)), errors.UnknownNameError)
    assert "fb-umi" in errors.UnknownNameError("recipe", "fb", known).why
    assert "there are: fb-umi, mob-uma" in errors.UnknownNameError("recipe", "zzzzzz", known).why
    assert errors.UnknownNameError("array", "x", []).next_step is None
