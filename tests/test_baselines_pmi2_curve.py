"""The script that measures SGCS over bits: its plan, its curves, its BD-rate."""

from __future__ import annotations

import importlib.util
import math
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tests.helpers_pmi import uma_precoders
from wbench.channel.pmi_etype2 import EType2Codebook
from wbench.metric.feedback import squared_cosine
from wbench.model import load_model
from wbench.task.spec import Limit, load_spec
from wbench_baselines.codecs.etype2 import select

SCRIPT = Path(__file__).parent.parent / "benchmarks" / "sgcs_bits.py"


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("sgcs_bits", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["sgcs_bits"] = module
    spec.loader.exec_module(module)
    return module


def test_every_point_of_the_plan_is_served_by_its_codec(script: ModuleType) -> None:
    ranked = load_spec("csi-feedback-bits")
    for panel in script.PANELS:
        cells = script.plan(panel)
        assert len(cells) == (22 if panel != (4, 2) else 20)
        for _, _, model, limit in cells:
            spec = ranked.model_copy(update={"limit": Limit(bits=limit)})
            assert load_model(model).supports(spec) is None, (model, limit)


def test_bd_rate_of_curves_that_are_a_factor_apart(script: ModuleType) -> None:
    bits, scores = [50.0, 90.0, 160.0, 300.0], [0.7, 0.78, 0.86, 0.9]
    assert script.bd_rate(bits, scores, bits, scores) == pytest.approx(0, abs=1e-9)
    assert script.bd_rate([2 * b for b in bits], scores, bits, scores) == pytest.approx(100)
    assert script.bd_rate([b / 2 for b in bits], scores, bits, scores) == pytest.approx(-50)
    assert math.isnan(script.bd_rate(bits, [0.1, 0.2, 0.3, 0.4], bits, scores))
    assert math.isnan(script.bd_rate([50.0], [0.8], bits, scores))


def test_curves_leave_out_what_a_shorter_report_beats(script: ModuleType, tmp_path: Path) -> None:
    panel = (8, 2)
    pairs = [(100, 0.8), (64, 0.7), (120, 0.79), (150, 0.9)]
    points = [script.Point(panel, "PCA", f"{bits}", score, 0.01, bits, bits) for bits, score in pairs]
    assert script.curve(points, panel, "PCA") == ([64, 100, 150], [0.7, 0.8, 0.9])
    other = [script.Point((4, 2), "PCA", "64", 0.5, 0.01, 64, 64)]
    text = script.tables(points + other, {each: {} for each in script.PANELS})
    assert "| 64 | 0.700 ± 0.010 (64) | 0.500 ± 0.010 (64) | – |" in text
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- sgcs_bits.py: begin -->\nold\n<!-- sgcs_bits.py: end -->\nb\n", encoding="utf-8")
    script.insert(page, "new")
    assert page.read_text() == "a\n<!-- sgcs_bits.py: begin -->\nnew\n<!-- sgcs_bits.py: end -->\nb\n"


def test_levels_of_the_standard_cost_less_than_a_hundredth(script: ModuleType) -> None:
    v = uma_precoders()
    for number in (1, 4, 6):
        book = EType2Codebook(8, 2, number, 13)
        bound = squared_cosine(script.truncated(book, v), v, "sgcs").mean()
        reached = squared_cosine(book.precoders(select(book, v))[..., 0], v, "sgcs").mean()
        assert 0 < bound - reached < 0.01
        assert np.isfinite(bound)
