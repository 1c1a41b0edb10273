"""PAD, hold and Wiener on the regenerated WiFo datasets beside Table 4 of the paper: docs/reproduction-wifo.md.

    for N in 1 … 16: wbench generate wifo-dN
    python benchmarks/reproduction_wifo.py --published CSV [--data FOLDER] [--size SIZE] [--source wifo|qd]
        [--test N] [--budget PERCENT] [--scalings sample part]

Scores are NMSE, linear, mean of ratios against the noisy target, as published, on the test part or its first N samples.
Wiener learns its covariances from the training part, and the tuned methods choose on validation, or on a share of both.
Two scalings are shown: noise relative to each sample's own power, and to the mean power of the part (the protocol's
reading of the paper). Rank correlations carry a bootstrap interval over the sets.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from wbench.dataset.spec import SIZES
from wbench.model import Predictor, load_model
from wbench.run.plan import find_dataset
from wbench.task.base import Task, family_class
from wbench.task.part import TaskData
from wbench.task.spec import Part, View, load_spec

DOCS = Path(__file__).parent.parent / "docs"
MODELS = ("hold", "pad-published", "pad", "wiener", "ar-pooled")
SCALINGS = {
    "sample": "Noise 20 dB below each sample's own power.",
    "part": "Noise 20 dB below the mean power of the part.",
}
PARTS: tuple[Part, ...] = ("train", "val", "test")
MARK = "<!-- reproduction_wifo.py {}: {} -->"
F64 = npt.NDArray[np.float64]


def ratios(model: Predictor, task: Task, ids: npt.NDArray[np.int64]) -> F64:
    """Error over reference energy of test samples."""
    found = []
    for batch, truth in task.pairs("test", ids):
        unseen = ~batch.x["observed"]
        target = truth["H"][:, unseen].astype(np.complex128)
        error = model.predict(batch)[:, unseen] - target
        found.append((np.abs(error) ** 2).sum(axis=1) / (np.abs(target) ** 2).sum(axis=1))
    return np.concatenate(found)


def scores(
    number: int, scaling: str, source: str, size: str, data: Path | None, test: int | None, budget: float
) -> dict[str, F64]:
    """Ratios of every model on one dataset."""
    spec = load_spec(f"wifo-compat-time-d{number}")
    recipe = f"{source}-d{number}"
    views = {part: View(recipe=recipe, side=part) for part in PARTS}
    spec = spec.model_copy(update={"params": {**spec.params, "scaling": scaling}, "views": views})
    task = family_class(spec)(spec, {recipe: find_dataset(recipe, size, data)})
    out = {}
    for name in MODELS:
        model = load_model(f"wbench/{name}")
        assert isinstance(model, Predictor)
        model.setup(task.spec, task.meta)
        if model.info.trains:
            model.fit(TaskData(task, "train", budget), TaskData(task, "val", budget), 0)
        out[name] = ratios(model, task, task.ids("test")[:test])
    return out


def table(rows: dict[int, dict[str, F64]], published: dict[str, dict[str, str]]) -> str:
    """Markdown table of one scaling, and the rank correlations of each method's column with published PAD."""
    paper = np.array([float(published[f"D{number}"]["PAD"]) for number in rows])
    head = ["set", "paper: PAD", "paper: WiFo-Base", *(f"`{name}`" for name in MODELS), "`pad-published`, median"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for number, found in rows.items():
        values = [float(found[name].mean()) for name in MODELS] + [float(np.median(found["pad-published"]))]
        row = published[f"D{number}"]
        lines.append(f"| D{number} | {row['PAD']} | {row['WiFo-Base']} | {' | '.join(f'{v:.3f}' for v in values)} |")
    columns = [np.array([found[name].mean() for found in rows.values()]) for name in MODELS]
    columns.append(np.array([np.median(found["pad-published"]) for found in rows.values()]))
    ranks = [rank_correlation(paper, column) for column in columns] if len(rows) > 3 else ["–"] * len(columns)
    lines.append(f"| *rank correlation with the paper's PAD* | | | {' | '.join(ranks)} |")
    return "\n".join([*lines, ""])


def rank_correlation(a: F64, b: F64) -> str:
    """Spearman's, with its 95 % bootstrap interval over the sets."""
    rng = np.random.default_rng(0)
    draws = [spearmanr(a[rows], b[rows]).statistic for rows in rng.integers(0, len(a), (2000, len(a)))]
    low, high = np.nanquantile(draws, (0.025, 0.975))
    return f"{spearmanr(a, b).statistic:.2f} ({low:.2f}–{high:.2f})".replace("-", "−")


def main() -> None:
    """Measure, print and rewrite the page between its marks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--size", choices=SIZES, default="standard")
    parser.add_argument("--source", choices=("wifo", "qd"), default="wifo")
    parser.add_argument("--published", type=Path, required=True, help="wifo_time_prediction_nmse.csv")
    parser.add_argument("--sets", type=int, nargs="*", default=list(range(1, 17)))
    parser.add_argument("--test", type=int, help="first so many test samples instead of all")
    parser.add_argument("--budget", type=float, default=100.0, help="percentage of training and validation")
    parser.add_argument("--scalings", nargs="*", choices=SCALINGS, default=list(SCALINGS))
    args = parser.parse_args()
    with args.published.open(encoding="utf-8") as file:
        published = {row["dataset"]: row for row in csv.DictReader(file)}
    for scaling in args.scalings:
        rows = {}
        for number in args.sets:
            rows[number] = scores(number, scaling, args.source, args.size, args.data, args.test, args.budget)
            values = {name: round(float(found.mean()), 3) for name, found in rows[number].items()}
            print(f"D{number} {scaling} {values}", flush=True)
        tested = "all test samples" if args.test is None else f"the first {args.test} test samples"
        share = "" if args.budget == 100 else f", fitted on {args.budget:g} % of training and validation"
        text = f"{SCALINGS[scaling]} `{args.source}-dN`, `{args.size}`, {tested}{share}.\n\n{table(rows, published)}"
        print(text)
        page = (DOCS / "reproduction-wifo.md").read_text(encoding="utf-8")
        begin, end = MARK.format(scaling, "begin"), MARK.format(scaling, "end")
        before, rest = page.split(begin)
        page = f"{before}{begin}\n{text}{end}{rest.split(end)[1]}"
        (DOCS / "reproduction-wifo.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
