"""PAD, hold and Wiener on the regenerated WiFo datasets beside Table 4 of the paper: docs/reproduction-wifo.md.

    for N in 1 … 16: wbench generate wifo-dN
    python benchmarks/reproduction_wifo.py [--data FOLDER] [--size SIZE] [--source wifo|qd] [--published CSV]

Scores are NMSE, linear, mean of ratios against the noisy target, as published. Two scalings are shown: noise relative
to the mean power of the part (the protocol's reading of the paper) and to each sample's own power. Methods that train
nothing are scored on all samples, the others on the test part.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from wbench.dataset.spec import SIZES
from wbench.model import Predictor, load_model
from wbench.run.plan import find_dataset
from wbench.task.base import Task, family_class
from wbench.task.part import TaskData
from wbench.task.spec import Part, View, load_spec

DOCS = Path(__file__).parent.parent / "docs"
MODELS = ("wbench/hold", "wbench/pad-published", "wbench/ar-pooled", "wbench/wiener")
PARTS: tuple[Part, ...] = ("train", "val", "test")
MARK = "<!-- reproduction_wifo.py: {} -->"


def ratios(model: Predictor, task: Task, parts: tuple[Part, ...]) -> np.ndarray:
    """Error over reference energy of every sample of some parts."""
    found = []
    for part in parts:
        for batch, truth in task.pairs(part, task.ids(part)):
            unseen = ~batch.x["observed"]
            target = truth["H"][:, unseen].astype(np.complex128)
            error = model.predict(batch)[:, unseen] - target
            found.append((np.abs(error) ** 2).sum(axis=1) / (np.abs(target) ** 2).sum(axis=1))
    return np.concatenate(found)


def scores(number: int, scaling: str, source: str, size: str, data: Path | None) -> dict[str, np.ndarray]:
    """Ratios of every model on one dataset."""
    spec = load_spec(f"wifo-compat-time-d{number}")
    recipe = f"{source}-d{number}"
    views = {part: View(recipe=recipe, side=part) for part in PARTS}
    spec = spec.model_copy(update={"params": {**spec.params, "scaling": scaling}, "views": views})
    task = family_class(spec)(spec, {recipe: find_dataset(recipe, size, data)})
    out = {}
    for name in MODELS:
        model = load_model(name)
        assert isinstance(model, Predictor)
        model.setup(task.spec, task.meta)
        if model.info.trains:
            model.fit(TaskData(task, "train"), TaskData(task, "val"), 0)
        out[name] = ratios(model, task, ("test",) if model.info.trains else PARTS)
    return out


def main() -> None:
    """Measure, print and rewrite the page between its marks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--size", choices=SIZES, default="standard")
    parser.add_argument("--source", choices=("wifo", "qd"), default="wifo")
    parser.add_argument("--published", type=Path, required=True, help="wifo_time_prediction_nmse.csv")
    parser.add_argument("--sets", type=int, nargs="*", default=list(range(1, 17)))
    args = parser.parse_args()
    with args.published.open(encoding="utf-8") as file:
        published = {row["dataset"]: row for row in csv.DictReader(file)}
    columns = [f"{model.removeprefix('wbench/')}, {scaling}" for scaling in ("part", "sample") for model in MODELS]
    lines, means = [], []
    for number in args.sets:
        found = [scores(number, scaling, args.source, args.size, args.data) for scaling in ("part", "sample")]
        values = [float(one[model].mean()) for one in found for model in MODELS]
        median = float(np.median(found[1]["wbench/pad-published"]))
        paper = published[f"D{number}"]
        means.append([float(paper["PAD"]), *values])
        cells = [paper["PAD"], paper["WiFo-Base"], *(f"{value:.3f}" for value in values), f"{median:.3f}"]
        lines.append(f"| D{number} | {' | '.join(cells)} |")
        print(lines[-1], flush=True)
    head = ["set", "paper PAD", "paper WiFo-Base", *columns, "pad-published, sample, median"]
    ranks = [
        f"{spearmanr(np.array(means)[:, 0], np.array(means)[:, 1 + c]).statistic:.2f}" for c in range(len(columns))
    ]
    lines.append(f"| rank correlation with paper PAD | | | {' | '.join(ranks)} | |")
    print(lines[-1])
    text = "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *lines, ""])
    where = f"Datasets `{args.source}-dN`, size `{args.size}`.\n\n"
    page = (DOCS / "reproduction-wifo.md").read_text(encoding="utf-8")
    begin, end = MARK.format("begin"), MARK.format("end")
    before, rest = page.split(begin)
    page = f"{before}{begin}\n{where}{text}{end}{rest.split(end)[1]}"
    (DOCS / "reproduction-wifo.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
