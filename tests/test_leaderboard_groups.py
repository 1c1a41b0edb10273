"""Few-shot rows and rows with some layers tuned have tables of their own, on any task the same ones."""

from __future__ import annotations

import csv
import io

from tests.leaderboard_factory import result
from wbench_leaderboard.entries import GroupKey, collect
from wbench_leaderboard.exports import task_csv
from wbench_leaderboard.overall import overall_tables
from wbench_leaderboard.rank import rank_boards
from wbench_leaderboard.views import explain, group_id, group_label

LOS, BEAM = "los-nlos-umi", "beam-prediction-b"


def made() -> list[object]:
    tuned = {"kind": "foundation", "regime": "fine-tune", "head": "linear"}
    found = []
    for task, share in ((LOS, 2.0), (BEAM, 30.0)):  # ten of each class are another share of another task
        found += [
            result(task, "ten", 0.7, kind="foundation", regime="head", head="linear", budget=share, shots=10, draw=0),
            result(task, "ten", 0.8, kind="foundation", regime="head", head="linear", budget=share, shots=10, draw=1),
            result(task, "percent", 0.9, kind="foundation", regime="head", head="linear", budget=share),
            result(task, "whole", 0.9, **tuned),
            result(task, "last two", 0.8, layers=2, **tuned),
            result(task, "last one", 0.8, layers=1, **tuned),
            result(task, "classical ten", 0.5, regime="full", budget=share, shots=10),
            result(task, "classical", 0.6, regime="full"),
            result(task, "trivial", 0.1, kind="trivial"),
        ]
    return found


def test_shots_and_layers_part_the_groups() -> None:
    boards = rank_boards(collect(made()))  # type: ignore[arg-type]
    for board, share in zip(
        sorted(boards, key=lambda board: board.edition.task, reverse=True), (2.0, 30.0), strict=True
    ):
        rows = {group.key: [s.entry.model.name for s in group.standings] for group in board.groups}
        assert rows == {
            GroupKey("head", "linear", share): ["percent", "trivial"],
            GroupKey("head", "linear", None, shots=10): ["ten", "classical ten", "trivial"],
            GroupKey("fine-tune", "linear", 100.0): ["whole", "classical", "trivial"],
            GroupKey("fine-tune", "linear", 100.0, layers=2): ["last two", "classical", "trivial"],
            GroupKey("fine-tune", "linear", 100.0, layers=1): ["last one", "classical", "trivial"],
            GroupKey("reference", None, 100.0): ["classical", "trivial"],
            GroupKey("reference", None, None, shots=10): ["classical ten", "trivial"],
        }
        assert list(rows) == [
            *(key for key in rows if key.regime == "head"),
            *(key for key in rows if key.regime == "fine-tune"),
            *(key for key in rows if key.regime == "reference"),
        ]
        assert [key.layers for key in rows if key.regime == "fine-tune"] == [None, 2, 1]
        (ten,) = (e for e in board.entries if e.model.name == "ten")
        assert [r.draw for r in ten.results] == [0, 1]
        lines = list(csv.DictReader(io.StringIO(task_csv(board))))
        found = {line["model"]: (line["budget_percent"], line["shots"], line["layers"]) for line in lines}
        assert found["ten"] == (str(share), "10", "")
        assert found["last two"] == ("100.0", "", "2")
    (overall,) = (table for table in overall_tables(boards) if table.key == GroupKey("head", "linear", None, shots=10))
    assert [(row.model, row.complete) for row in overall.rows] == [("ten", True)]
    assert set(overall.best_classical) == {LOS, BEAM}


def test_their_names() -> None:
    shots, layers = GroupKey("head", "linear", None, shots=10), GroupKey("fine-tune", "mlp", 100.0, layers=2)
    assert group_label(shots).endswith("(linear) · 10-shot")
    assert ", last 2 layers (mlp) · " in group_label(layers)
    assert (group_id(shots), group_id(layers)) == ("head-linear-k10", "fine-tune-last2-mlp-100")
    assert group_id(GroupKey("fine-tune", "mlp", 100.0)) == "fine-tune-mlp-100"
    assert "10 training samples of every class" in explain(shots, ranked=True)
    assert explain(layers, ranked=True).startswith("The last 2 of the model's layers were adapted")
