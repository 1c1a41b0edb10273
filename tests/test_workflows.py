"""The workflows of the leaderboard: what may run, with which rights, and what never may."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).resolve().parent.parent / ".github" / "workflows"
NAMES = ("submission-check", "submission-comment", "publish")


def load(name: str) -> dict[Any, Any]:
    table: dict[Any, Any] = yaml.safe_load((FOLDER / f"{name}.yml").read_text(encoding="utf-8"))
    return table


def trigger(table: dict[Any, Any]) -> dict[str, Any]:
    found: dict[str, Any] = table[True]  # YAML 1.1 reads the key `on` as a truth value
    return found


def steps(table: dict[Any, Any]) -> list[dict[str, Any]]:
    return [step for job in table["jobs"].values() for step in job["steps"]]


def rights(table: dict[Any, Any]) -> list[dict[str, str]]:
    return [table["permissions"], *(job.get("permissions", {}) for job in table["jobs"].values())]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yml")), ids=lambda path: path.stem)
def test_every_workflow(path: Path) -> None:
    table = load(path.stem)
    # pull_request_target would run with the base's rights beside a stranger's files.
    assert "pull_request_target" not in trigger(table)
    assert isinstance(table["permissions"], dict), "rights are named, or there are none"
    for job in table["jobs"].values():
        assert job["timeout-minutes"] <= 60
        assert re.fullmatch(r"ubuntu-\d\d\.\d\d", job["runs-on"])
    for step in steps(table):
        if "uses" in step:
            assert re.fullmatch(r"actions/[a-z-]+@(v\d+|[0-9a-f]{40})", step["uses"]), "GitHub's own, pinned"
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
        # An expression inside a script is text that somebody else wrote, executed.
        assert "${{" not in step.get("run", "")
        assert "${{" not in step.get("with", {}).get("script", "")


def test_there_are_all_three() -> None:
    assert {path.stem for path in FOLDER.glob("*.yml")} >= set(NAMES)


def test_the_check_may_do_nothing_but_read() -> None:
    table = load("submission-check")
    assert list(trigger(table)) == ["pull_request"]
    assert trigger(table)["pull_request"]["paths"] == ["leaderboard/submissions/**"]
    assert rights(table) == [{"contents": "read"}, {}]
    assert "secrets." not in (FOLDER / "submission-check.yml").read_text()


def test_the_check_executes_nothing_of_the_pull_request() -> None:
    base, head, *others = steps(load("submission-check"))
    assert base["with"]["ref"] == "${{ github.event.pull_request.base.sha }}"
    assert base["with"]["path"] == "base"
    assert head["with"]["path"] == "submission"
    assert head["with"]["sparse-checkout"] == "leaderboard/submissions"
    assert head["with"]["submodules"] is False
    assert head["with"]["lfs"] is False
    for step in others:
        if "run" in step:
            assert step["working-directory"] == "base"
            # The submission is named once, as the folder that the checker reads.
            assert step["run"].count("submission/") == step["run"].count("leaderboard check ../submission/leaderboard")
        assert not step.get("uses", "").startswith("actions/checkout@")


def test_the_comment_sees_the_report_and_nothing_else() -> None:
    table = load("submission-comment")
    assert trigger(table) == {"workflow_run": {"workflows": [load("submission-check")["name"]], "types": ["completed"]}}
    assert rights(table) == [{}, {"actions": "read", "pull-requests": "write"}]
    download, comment = steps(table)
    assert download["uses"].startswith("actions/download-artifact@")
    assert download["with"]["name"] == "report"
    assert comment["uses"].startswith("actions/github-script@")
    assert not [step for step in steps(table) if "run" in step]
    script = comment["with"]["script"]
    assert "require('child_process')" not in script
    assert "status.size > 100000" in script
    assert "run.head_sha" in script  # not a number that the report tells
    assert "[^\\n -~]" in script
    assert "[`@]" in script


def test_publishing_needs_only_pages() -> None:
    table = load("publish")
    assert trigger(table)["push"]["branches"] == ["main"]
    assert "pull_request" not in trigger(table)
    assert rights(table) == [{}, {"contents": "read"}, {"pages": "write", "id-token": "write"}]
    assert table["jobs"]["deploy"]["needs"] == "build"
    assert not [step for step in table["jobs"]["deploy"]["steps"] if "run" in step]


def test_the_commands_in_them_exist() -> None:
    from wbench_leaderboard.cli import leaderboard

    for name in ("submission-check", "publish"):
        for step in steps(load(name)):
            for command, options in re.findall(r"wbench leaderboard (\w+)((?:[^\n]|\\\n)*)", step.get("run", "")):
                known = {option for parameter in leaderboard.commands[command].params for option in parameter.opts}
                assert set(re.findall(r"--[a-z-]+", options)) <= known
