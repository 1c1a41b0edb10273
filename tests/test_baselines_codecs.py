"""The codecs as a family: zeros, the list in the manifest, and the halves in two processes."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from tests.helpers_models import (
    FakePart,
    complex_normal,
    make_batch,
    make_meta,
    make_spec,
    ready,
    same_whatever_the_batch,
)
from wbench.model import Codec, Payload
from wbench.task.batch import ArrayMeta
from wbench.task.spec import Limit
from wbench_baselines.codecs.common import from_reals, rowwise, stack_reals, to_reals
from wbench_baselines.codecs.trivial import Zeros

CODECS = {
    "wbench/zeros-codec": "wbench_baselines.codecs.trivial:Zeros",
    "wbench/fixed-precoder": "wbench_baselines.codecs.precoder:FixedPrecoder",
    "wbench/lasso": "wbench_baselines.codecs.lasso:Lasso",
    "wbench/lasso-complex": "wbench_baselines.codecs.lasso:LassoComplex",
    "wbench/klt": "wbench_baselines.codecs.klt:Klt",
    "wbench/type1": "wbench_baselines.codecs.type1:Type1",
}
RATIO = make_spec("csi-feedback-ratio", "compress", limit=Limit(reals=8))
BITS = make_spec("csi-feedback-bits", "compress", {"subbands": 3}, Limit(bits=96))


def load(name: str) -> Codec:
    module, attribute = CODECS[name].split(":")
    found = getattr(import_module(module), attribute)()
    assert isinstance(found, Codec)
    return found


def test_manifest_lists_every_codec() -> None:
    package = find_spec("wbench_baselines")
    assert package is not None
    assert package.origin is not None
    manifest = tomllib.loads(Path(package.origin).with_name("provider.toml").read_text(encoding="utf-8"))
    assert {name: manifest["models"][name]["object"] for name in CODECS} == CODECS
    families = {name: manifest["models"][name]["tasks"] for name in CODECS}
    for name, served in families.items():
        for spec in (RATIO, BITS):
            assert (load(name).supports(spec) is None) == (spec.family in served), (name, spec.family)


@pytest.mark.parametrize("name", CODECS)
def test_info_is_complete(name: str) -> None:
    info = load(name).info
    assert info.name == name
    assert info.kind in ("trivial", "classical")
    assert all((info.revision, info.summary, info.source, info.licence))
    assert load(name).supports(make_spec("los-nlos", "classify")) is not None


def test_zeros_are_zero_decibels_for_zero_bits() -> None:
    meta = make_meta((4, 3), ArrayMeta(1, 3), dims=("delay", "angle"))
    h = complex_normal(np.random.default_rng(0), 9, 4, 3)
    model = ready(Zeros(), RATIO, FakePart(make_batch(h, meta), {"H": h}))
    encoder, decoder = model.encoder(), model.decoder()
    assert encoder(make_batch(h, meta)) == [Payload(b"", 0)] * 9
    found = same_whatever_the_batch(lambda batch: decoder(encoder(batch)), make_batch(h, meta))
    assert found.dtype == np.complex64
    assert 10 * math.log10(np.sum(np.abs(found - h) ** 2) / np.sum(np.abs(h) ** 2)) == 0
    first = decoder([Payload(b"", 0)])
    first += 1  # what one caller does to an answer must not reach the next one
    assert not decoder([Payload(b"", 0)]).any()


DECODE = """
import pickle, sys
decoder, payloads = pickle.load(sys.stdin.buffer)
pickle.dump(decoder(payloads), sys.stdout.buffer)
"""


@pytest.mark.parametrize("name", CODECS)
def test_halves_share_nothing(name: str) -> None:
    """The decoder leaves before anything is encoded, and works in a fresh interpreter, in another order."""
    bits = load(name).supports(BITS) is None
    if bits:
        spec, meta = BITS, make_meta((3, 32), ArrayMeta(2, 8, polarisations=2), dims=("subband", "port"))
    else:
        spec, meta = RATIO, make_meta((4, 3), ArrayMeta(1, 3), dims=("delay", "angle"))
    h = complex_normal(np.random.default_rng(1), 30, *meta.shape).astype(np.complex64)
    model = ready(load(name), spec, FakePart(make_batch(h, meta), {"H": h}))
    frozen = pickle.dumps(model.decoder())
    payloads = model.encoder()(make_batch(h, meta))
    assert all(p.bits <= spec.limit.max_bits and len(p.data) == -(-p.bits // 8) for p in payloads)
    assert pickle.dumps(model.decoder()) == frozen
    order = np.random.default_rng(2).permutation(30)
    sent = pickle.dumps((pickle.loads(frozen), [payloads[i] for i in order]))
    path = {"PYTHONPATH": ":".join(p for p in sys.path if p), "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", DECODE], input=sent, capture_output=True, check=True, env=path)
    there = pickle.loads(done.stdout)
    np.testing.assert_array_equal(there, model.decoder()(payloads)[order])


def test_reals_are_real_then_imaginary_and_come_back() -> None:
    h = complex_normal(np.random.default_rng(3), 5, 4, 3).astype(np.complex64)
    x = to_reals(h)
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x[:, :12], h.real.reshape(5, 12))
    np.testing.assert_array_equal(from_reals(x, (4, 3)), h)
    np.testing.assert_array_equal(stack_reals([Payload.of_reals(row) for row in x], 24), x)
    assert stack_reals([], 24).shape == (0, 24)


def test_rowwise_product_is_the_product() -> None:
    rng = np.random.default_rng(4)
    rows, matrix = rng.standard_normal((7, 20)), rng.standard_normal((20, 11))
    np.testing.assert_allclose(rowwise(rows, matrix), rows @ matrix, rtol=1e-12)
    single = rows.astype(np.float32)
    np.testing.assert_array_equal(rowwise(single[2:3], matrix.astype("f4")), rowwise(single, matrix.astype("f4"))[2:3])
