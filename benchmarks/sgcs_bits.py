"""SGCS over bits of all codecs of precoder feedback, on the three panels of the task.

    wbench generate pmi-uma; wbench generate pmi-uma-4x2; wbench generate pmi-uma-16x1
    python benchmarks/sgcs_bits.py [--data FOLDER] [--size SIZE]

Evaluates every codec at every limit on the test part of instances that differ from ``csi-feedback-bits`` in dataset and
limit only, then writes docs/images/sgcs-bits.svg and the tables of docs/baselines-pmi.md. The numbers are those of
``wbench evaluate``; here one task serves all codecs of a panel, because finding the precoders takes longest.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator

from wbench.channel.pmi_etype2 import COMBINATIONS, EType2Codebook, combine
from wbench.channel.pmi_type2 import Type2Codebook
from wbench.metric.feedback import squared_cosine
from wbench.model import Codec, load_model
from wbench.run.codec import check_payloads
from wbench.run.plan import find_dataset
from wbench.task.base import Task, family_class
from wbench.task.part import TaskData
from wbench.task.spec import Limit, View, load_spec
from wbench_baselines.codecs.etype2 import allowed
from wbench_baselines.codecs.pmi_search import choose_beams, choose_taps
from wbench_baselines.codecs.type2 import SETTINGS

DOCS = Path(__file__).parent.parent / "docs"
PANELS = {(8, 2): "pmi-uma", (4, 2): "pmi-uma-4x2", (16, 1): "pmi-uma-16x1"}
SUBBANDS = 13
PCA_LIMITS = (48, 96, 144, 256, 334)
ROOMY = 400  # bits: room for every fixed codec
MARK = "<!-- sgcs_bits.py: {} -->"


@dataclass(frozen=True)
class Point:
    """One codec at one limit on one panel."""

    panel: tuple[int, int]
    family: str
    label: str
    score: float
    half_width: float
    mean_bits: float
    most_bits: int


def plan(panel: tuple[int, int]) -> list[tuple[str, str, str, int]]:
    """(family, label, model, limit) of every point of a panel."""
    cells = [
        ("fixed", "fixed precoder", "wbench/fixed-precoder", ROOMY),
        ("Type I", "Type I, mode 1", "wbench/type1", ROOMY),
    ]
    for beams, phases, amplitude in SETTINGS:
        label = (
            f"Type II, L = {beams}, {'QPSK' if phases == 4 else '8PSK'}{', sub-band amplitude' if amplitude else ''}"
        )
        bits = Type2Codebook(*panel, beams, SUBBANDS, phases, amplitude).max_bits
        # supports() looks at all panels, the largest of which has up to 4 bits more
        cells.append(("Type II", label, "wbench/type2", max(bits, 102)))
    for number in allowed(*panel, SUBBANDS):
        cells.append(("eType II", f"eType II, pc{number}", f"wbench/etype2-pc{number}", ROOMY))
    return cells + [("PCA", f"PCA, {bits} bits", "wbench/pca-quantised", bits) for bits in PCA_LIMITS]


def curve_task(recipe: str, size: str, data: Path | None) -> Task:
    """The task on another dataset, with room for every codec."""
    ranked = load_spec("csi-feedback-bits")
    views = {part: View(recipe=recipe, side=view.side) for part, view in ranked.views.items()}
    spec = ranked.model_copy(update={"name": f"sgcs-bits-{recipe}", "views": views, "limit": Limit(bits=ROOMY)})
    return family_class(spec)(spec, {recipe: find_dataset(recipe, size, data)})


def evaluate(task: Task, model: Codec, limit: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """SGCS and payload bits of every test sample, at a limit, through encoder, bytes and decoder."""
    spec = task.spec.model_copy(update={"limit": Limit(bits=limit)})
    reason = model.supports(spec)
    if reason is not None:
        raise SystemExit(f"{model.info.name} at {limit} bits: {reason}")
    model.setup(spec, task.meta)
    if model.info.trains:
        model.fit(TaskData(task, "train"), TaskData(task, "val"), 0)
    encoder, decoder = model.encoder(), model.decoder()
    scores, bits = [], []
    for batch, truth in task.pairs("test", task.ids("test")):
        payloads = encoder(batch)
        bits.append(check_payloads(payloads, len(batch), limit))
        scores.append(squared_cosine(decoder(payloads), truth["H"], "sgcs").mean(axis=1))
    return np.concatenate(scores), np.concatenate(bits)


def measure(task: Task, panel: tuple[int, int]) -> list[Point]:
    """Evaluate every codec at every limit on a panel. One user per drop: samples are independent."""
    points = []
    for family, label, name, limit in plan(panel):
        model = load_model(name)
        if not isinstance(model, Codec):
            raise SystemExit(f"{name} is not a codec")
        scores, bits = evaluate(task, model, limit)
        half = 1.96 * float(scores.std(ddof=1)) / math.sqrt(len(scores))
        points.append(Point(panel, family, label, float(scores.mean()), half, float(bits.mean()), int(bits.max())))
        print(points[-1], flush=True)
    return points


def bounds(task: Task, panel: tuple[int, int]) -> dict[int, float]:
    """SGCS of what each paramCombination keeps, without quantisation: what better quantisers could reach at most."""
    found: dict[int, list[npt.NDArray[np.float64]]] = {number: [] for number in allowed(*panel, SUBBANDS)}
    for _, truth in task.pairs("test", task.ids("test")):
        for number, book in allowed(*panel, SUBBANDS).items():
            found[number].append(squared_cosine(truncated(book, truth["H"]), truth["H"], "sgcs").mean(axis=1))
    return {number: float(np.concatenate(parts).mean()) for number, parts in found.items()}


def truncated(book: EType2Codebook, v: npt.NDArray[Any]) -> npt.NDArray[np.complex64]:
    """Precoders [n, sub-band, P] of the beams, taps and coefficients that a codebook keeps, not quantised."""
    beams = choose_beams(book.panel, v[:, None], book.beams)
    taps = choose_taps(beams.spectrum, book.taps, book.most)
    kept = combine(book.panel, beams.group, beams.beams, taps.amplitudes, taps.taps, taps.strongest, book.subbands)
    return kept[..., 0]


def curve(points: list[Point], panel: tuple[int, int], family: str) -> tuple[list[float], list[float]]:
    """Mean bits and SGCS of a family on a panel: points that no other of the family beats with fewer bits."""
    ordered = sorted((p.mean_bits, p.score) for p in points if p.panel == panel and p.family == family)
    best = [pair for i, pair in enumerate(ordered) if all(pair[1] > score for _, score in ordered[:i])]
    return [bits for bits, _ in best], [score for _, score in best]


def bd_rate(
    bits: list[float], scores: list[float], reference_bits: list[float], reference_scores: list[float]
) -> float:
    """Bjøntegaard rate difference in percent: mean of log2 bits at equal 10 log10(1 − SGCS), over what both reach.

    PCHIP instead of a cubic polynomial. NaN where the curves have no level in common.
    """
    if min(len(bits), len(reference_bits)) < 2:
        return math.nan
    curves = []
    for rates, values in ((bits, scores), (reference_bits, reference_scores)):
        level = -10 * np.log10(1 - np.array(values))
        curves.append((level, PchipInterpolator(level, np.log2(rates))))
    low, high = max(c[0][0] for c in curves), min(c[0][-1] for c in curves)
    if not low < high:
        return math.nan
    areas = [float(c[1].integrate(low, high)) for c in curves]
    return 100 * (2 ** ((areas[0] - areas[1]) / (high - low)) - 1)


def tables(points: list[Point], limits: dict[tuple[int, int], dict[int, float]]) -> str:
    """Markdown: SGCS by codec and panel, then BD-rates."""
    head = " | ".join(f"({n1}, {n2})" for n1, n2 in PANELS)
    lines = [f"| codec | {head} |", "|---|" + "---|" * len(PANELS)]
    for label in dict.fromkeys(point.label for point in points):
        cells = []
        for panel in PANELS:
            at = [p for p in points if p.panel == panel and p.label == label]
            cells.append(f"{at[0].score:.3f} ± {at[0].half_width:.3f} ({at[0].mean_bits:.0f})" if at else "–")
        lines.append(f"| {label} | {' | '.join(cells)} |")
    for number in COMBINATIONS:
        values = [limits[panel].get(number) for panel in PANELS]
        cells = ["–" if value is None else f"{value:.3f}" for value in values]
        lines.append(f"| truncation bound of pc{number} | {' | '.join(cells)} |")
    lines += ["", f"| bits at equal SGCS, against eType II | {head} |", "|---|" + "---|" * len(PANELS)]
    for family in ("Type II", "PCA"):
        rates = [bd_rate(*curve(points, panel, family), *curve(points, panel, "eType II")) for panel in PANELS]
        cells = ["no overlap" if math.isnan(rate) else f"{rate:+.0f} %" for rate in rates]
        lines.append(f"| {family} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(points: list[Point], limits: dict[tuple[int, int], dict[int, float]], path: Path) -> None:
    """One panel per antenna configuration: SGCS over mean bits."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot as plt

    from wbench.dataset.figure.style import MUTED, REFERENCE, STYLE, title

    colours = {"PCA": "#009E73", "Type II": "#D55E00", "eType II": "#0072B2"}
    with plt.rc_context(STYLE):
        figure, every = plt.subplots(1, len(PANELS), figsize=(7.2, 2.7), sharey=True, layout="constrained")
        for axes, panel in zip(every, PANELS, strict=True):
            for family, colour in colours.items():
                axes.plot(*curve(points, panel, family), "o-", color=colour, markersize=3, label=family)
            kept = [
                (p.mean_bits, limits[panel][int(p.label[-1])]) for p in points if p.panel == panel and "pc" in p.label
            ]
            axes.plot(*zip(*sorted(kept), strict=True), color=MUTED, label="eType II, not quantised", **REFERENCE)
            single = [(p.mean_bits, p.score) for p in points if p.panel == panel and p.family == "Type I"]
            axes.plot(*zip(*single, strict=True), "s", color="#CC79A7", markersize=4, label="Type I")
            title(axes, f"(N1, N2) = ({panel[0]}, {panel[1]})")
            axes.set_xlabel("bits per report, mean")
            axes.set_xlim(0, 380)
        every[0].set_ylabel("SGCS")
        every[0].legend(loc="lower right")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)


def insert(page: Path, text: str) -> None:
    """Replace what lies between the two marks of the page."""
    begin, end = MARK.format("begin"), MARK.format("end")
    before, rest = page.read_text(encoding="utf-8").split(begin)
    page.write_text(f"{before}{begin}\n{text}\n{end}{rest.split(end)[1]}", encoding="utf-8")


def main() -> None:
    """Measure, draw, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--size", default="standard")
    arguments = parser.parse_args()
    points, limits = [], {}
    for panel, recipe in PANELS.items():
        task = curve_task(recipe, arguments.size, arguments.data)
        points += measure(task, panel)
        limits[panel] = bounds(task, panel)
    draw(points, limits, DOCS / "images" / "sgcs-bits.svg")
    insert(DOCS / "baselines-pmi.md", tables(points, limits))


if __name__ == "__main__":
    main()
