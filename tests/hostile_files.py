"""Hostile submissions, second part: arrays, archives, files and folders, and what shows beside other submissions."""

from __future__ import annotations

import json
import os
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.helpers_submission import edit, lay, make, result_file, seal
from tests.hostile_corpus import CASES, XSS, Case, case, manifest, raw
from wbench.digest import array_digest
from wbench_leaderboard.submission import layout
from wbench_leaderboard.submission.arrays import pack_archive, pack_array

__all__ = ["CASES", "Case"]


# --- arrays -----------------------------------------------------------------------------------------------------------
def header(text: str, data: bytes = b"") -> bytes:
    body = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(body)) + body + data


NPY = layout.PREDICTIONS
HUGE = "{'descr': '<f4', 'fortran_order': False, 'shape': (999999999999, 2), }"
raw("npy_huge_shape", "header tells of", header(HUGE), NPY)
raw("npy_product_of_shape", "header tells of", header(HUGE.replace("2", "999999999999")), NPY)
raw("npy_objects", "header", header("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"\x80\x04."), NPY)
raw("npy_records", "header", header("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (40, 2), }"), NPY)
raw("npy_texts", "header", header("{'descr': '<U8', 'fortran_order': False, 'shape': (1,), }", b"\0" * 32), NPY)
raw("npy_half", "numbers are", pack_array(np.zeros((40, 2), np.float16)), NPY)
raw("npy_double", "numbers are", pack_array(np.zeros((40, 2))), NPY)
raw("npy_code_in_header", "header", header("__import__('os').system('touch owned')"), NPY)
raw("npy_negative_shape", "header", header("{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 2), }"), NPY)
raw("npy_columns_first", "header", header("{'descr': '<f4', 'fortran_order': True, 'shape': (40, 2), }"), NPY)
raw(
    "npy_many_dimensions",
    "dimensions",
    header(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({'1, ' * 9}1), }}"),
    NPY,
)
raw("npy_format_9", "format 1.0", b"\x93NUMPY\x09\x00" + b"\0" * 200, NPY)
raw("npy_empty", "format 1.0", b"", NPY)
raw("npy_tail", "header tells of", lambda content: content + b"tail", NPY)
raw("npy_is_zip", "format 1.0", b"PK\x03\x04" + b"\0" * 100, NPY)
raw("npy_other_values", "not those of the result", pack_array(np.ones((40, 2), np.float32)), NPY)


@case("NaN")
def npy_nan(folder: Path) -> None:
    _predictions(folder, np.full((40, 2), np.nan, np.float32))


@case("do not cover")
def npy_few_rows(folder: Path) -> None:
    _predictions(folder, np.zeros((39, 2), np.float32))


def _predictions(folder: Path, values: np.ndarray[Any, Any]) -> None:
    content = pack_array(values)
    result_file(folder).with_name(NPY).write_bytes(content)
    edit(folder, lambda t: t["predictions"].update(digest=array_digest(values), bytes=len(content)))


NPZ = layout.COLUMNS


def archive(
    name: str, expect: str, members: dict[str, bytes] | None = None, method: int = zipfile.ZIP_STORED, tail: bytes = b""
) -> None:
    """A case that rewrites the archive with some members replaced or added."""

    def spoil(folder: Path) -> None:
        path = result_file(folder).with_name(NPZ)
        with zipfile.ZipFile(path) as old:
            content = {item.filename: old.read(item) for item in old.infolist()} | (members or {})
        with zipfile.ZipFile(path, "w", method) as new:
            for item, data in sorted(content.items()):
                new.writestr(zipfile.ZipInfo(item, (1980, 1, 1, 0, 0, 0)), data, compress_type=method)
        path.write_bytes(path.read_bytes() + tail)
        seal(folder)

    CASES.append(Case(name, spoil, expect))


archive("npz_bomb", "compressed", {"id.npy": b"\0" * 50_000_000}, zipfile.ZIP_DEFLATED)
archive("npz_compressed", "compressed", method=zipfile.ZIP_DEFLATED)
archive("npz_path_traversal", "members", {"../../owned.npy": b"x"})
archive("npz_absolute_path", "members", {"/owned.npy": b"x"})
archive("npz_extra_member", "members", {"zz.npy": pack_array(np.zeros(3))})
archive("npz_other_bytes", "wbench submit writes")
archive("npz_tail", "archive", tail=b"PK\x05\x06" + b"\0" * 40)
archive("npz_pickle_member", "header", {"id.npy": header("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }")})
raw("npz_empty", "archive", b"", NPZ)
raw("npz_is_text", "archive", b"hello", NPZ)
raw("npz_cut", "archive", lambda content: content[:-30], NPZ)


def columns(name: str, expect: str, change: Callable[[dict[str, Any]], None]) -> None:
    """A case that changes the columns, in an archive of our own form."""

    def spoil(folder: Path) -> None:
        path = result_file(folder).with_name(NPZ)
        with np.load(path) as old:
            table = {key: old[key] for key in old.files}
        change(table)
        path.write_bytes(pack_archive(table))
        seal(folder)

    CASES.append(Case(name, spoil, expect))


columns("columns_other_table", "columns give", lambda c: c.update(table_f1_macro=c["table_f1_macro"][::-1].copy()))
columns("columns_nan", "NaN", lambda c: c.update(table_auroc=c["table_auroc"] * np.nan))
columns("columns_flat", "columns are not", lambda c: c.update(table_auroc=np.zeros(40)))
columns("columns_no_width", "columns", lambda c: c.update(table_auroc=np.zeros((40, 0))))
columns("columns_short", "columns are not", lambda c: c.update(id=c["id"][:-1]))
columns("columns_ids_twice", "do not rise", lambda c: c.update(id=c["id"] * 0))
columns("columns_negative_ids", "do not rise", lambda c: c.update(id=c["id"] - 10**6))
columns("columns_weights", "not 0 and 1", lambda c: c.update(slices=c["slices"] * np.uint8(7)))
columns("columns_one_cluster", "replicates", lambda c: c.update(cluster=c["cluster"] * 0))
columns("columns_labels", "columns", lambda c: c.update(table_auroc=c["table_auroc"] * -1e300))

# --- files ------------------------------------------------------------------------------------------------------------
manifest("manifest_other_model", "folder is not that of", model="lab/other")
manifest("manifest_script_model", "name or revision", model=f"lab/{XSS}")
manifest("manifest_unknown_field", "schema", script="rm -rf /")
manifest("manifest_future", "schema", schema_version=2)
manifest("manifest_supersedes_itself", "another revision", supersedes="1")
manifest("manifest_supersedes_path", "another revision", supersedes="../../x")
manifest("manifest_supersedes_nothing", "not there", supersedes="0")
RECORD = {"sha256": "sha256:" + "0" * 64, "bytes": 1}
FILES: dict[str, Any] = {"results/a-v1/tiny/b/predictions.npy": RECORD}
PINNED = f"https://example.org/{'a' * 40}"
manifest("address_script", "address", outside={"url": "javascript:alert(1)", "files": FILES})
manifest("address_file", "address", outside={"url": "file:///etc/passwd", "files": FILES})
manifest("address_plain_http", "address", outside={"url": PINNED.replace("https", "http"), "files": FILES})
manifest("address_not_pinned", "could change", outside={"url": "https://example.org/main", "files": FILES})
manifest("address_with_user", "without user", outside={"url": f"https://a@example.org/{'a' * 40}", "files": FILES})
manifest("address_quotes", "plain ASCII", outside={"url": f"{PINNED}/{XSS}", "files": FILES})
manifest("address_local", "host", outside={"url": f"https://localhost/{'a' * 40}", "files": FILES})
manifest("outside_of_nothing", "belongs to no result", outside={"url": PINNED, "files": FILES})
manifest("outside_traversal", "not a file of a submission", outside={"url": PINNED, "files": {"../x": RECORD}})


@case("not listed")
def file_not_listed(folder: Path) -> None:
    made = make(seed=3)
    place = folder / layout.result_folder(made.result.model_copy(update={"seed": 3}))
    place.mkdir(parents=True)
    (place / layout.PREDICTIONS).write_bytes(pack_array(made.predictions))


@case("not there")
def file_listed_but_absent(folder: Path) -> None:
    result_file(folder).with_name(NPY).unlink()


@case("its digest differs")
def file_changed(folder: Path) -> None:
    path = folder / layout.CARD
    path.write_text(path.read_text() + "more\n")


@case("no predictions")
def no_predictions(folder: Path) -> None:
    result_file(folder).with_name(NPY).unlink()
    seal(folder)


@case("no model card")
def no_card(folder: Path) -> None:
    (folder / layout.CARD).unlink()
    seal(folder)


@case("U+202E")
def card_bidi(folder: Path) -> None:
    (folder / layout.CARD).write_text("# net \u202e\n")
    seal(folder)


@case("card is refused")
def card_not_text(folder: Path) -> None:
    (folder / layout.CARD).write_bytes(b"\xff\xfe\x00")
    seal(folder)


@case("too large")
def card_huge(folder: Path) -> None:
    (folder / layout.CARD).write_bytes(b"a" * 200_000)
    seal(folder)


@case("not a file of a submission")
def script_beside(folder: Path) -> None:
    (folder / "conftest.py").write_text("import os; os.system('touch owned')\n")
    seal(folder)


@case("not a file of a submission")
def hidden_file(folder: Path) -> None:
    (folder / ".gitattributes").write_text("* filter=evil\n")
    seal(folder)


@case("not a file of a submission")
def workflow_beside(folder: Path) -> None:
    (folder / ".github").mkdir()
    (folder / ".github" / "x.yml").write_text("on: push\n")


@case("not a file of a submission")
def strange_file_name(folder: Path) -> None:
    (folder / f"{XSS.replace('/', '_')}\u202e.json").write_text("{}")


@case("not a file of a submission")
def undecodable_file_name(folder: Path) -> None:
    with open(os.fsencode(folder) + b"/\xff\xfe", "wb"):
        pass


@case("symbolic link")
def link_to_a_file(folder: Path) -> None:
    path = result_file(folder).with_name(NPY)
    path.unlink()
    path.symlink_to("/etc/hostname")


@case("symbolic link")
def link_to_a_folder(folder: Path) -> None:
    (folder / "results" / "more").symlink_to("/etc", target_is_directory=True)


@case("symbolic link")
def link_to_itself(folder: Path) -> None:
    (folder / "results" / "loop").symlink_to(folder)


@case("not the folder")
def revision_is_link(folder: Path) -> None:
    moved = folder.with_name("hidden")
    folder.rename(moved)
    folder.symlink_to(moved)


@case("not a file")
def pipe(folder: Path) -> None:
    path = result_file(folder).with_name(NPY)
    path.unlink()
    os.mkfifo(path)


@case("too deep")
def deep_folders(folder: Path) -> None:
    (folder / "/".join("abcdefghijkl")).mkdir(parents=True)


@case("differ only in their case")
def same_name_in_capitals(folder: Path) -> None:
    (folder / layout.CARD.lower()).write_text("x")


@case("name of a device")
def device_in_path(folder: Path) -> None:
    path = result_file(folder)
    path.parent.rename(path.parent.with_name("nul"))
    seal(folder)


@case("too large")
def huge_predictions(folder: Path) -> None:
    _predictions(folder, np.zeros((1_300_000, 2), np.float32))


@case("columns and predictions, the limit")
def too_much_inside(folder: Path) -> None:
    result_file(folder).with_name(NPZ).write_bytes(b"\0" * 6_000_000)
    _predictions(folder, np.zeros((700_000, 2), np.float32))


@case("no submission.json")
def no_manifest(folder: Path) -> None:
    (folder / layout.MANIFEST).unlink()


@case("no result")
def nothing_inside(folder: Path) -> None:
    shutil.rmtree(folder / "results")
    seal(folder)


@case("not the folder of a model")
def strange_model_folder(folder: Path) -> None:
    (folder.parents[1] / XSS.replace("/", "_")).mkdir()


@case("not the folder of a model")
def file_beside_models(folder: Path) -> None:
    (folder.parents[1] / "setup.py").write_text("boom\n")


@case("letters, digits")
def strange_revision_folder(folder: Path) -> None:
    (folder.parent / "1 \u202e").mkdir()


@case("status.toml")
def status_by_a_stranger(folder: Path) -> None:
    (folder.parents[1] / layout.STATUS).write_text('[[status]]\nmodel = "lab/net"\nrevision = "1"\nstatus = "best"\n')


@case("status.toml")
def status_bomb(folder: Path) -> None:
    (folder.parents[1] / layout.STATUS).write_text("a = " + "[" * 50_000)


@case("symbolic link")
def status_link(folder: Path) -> None:
    (folder.parents[1] / layout.STATUS).symlink_to("/etc/passwd")


# --- together with other submissions ----------------------------------------------------------------------------------
@case("organisation 'wbench'")
def our_organisation(folder: Path) -> None:
    lay(folder.parents[1], make("wbench/net"))


@case("identical to another model")
def copied_predictions(folder: Path) -> None:
    lay(folder.parents[1], make("zoo/copy"))


@case("can be taken for")
def look_alike(folder: Path) -> None:
    lay(folder.parents[1], make("1ab/net", seed=4))


@case("can be taken for")
def look_alike_in_capitals(folder: Path) -> None:
    lay(folder.parents[1], make("LAB/Net", seed=4))


@case("folder is not that of")
def same_model_in_another_folder(folder: Path) -> None:
    shutil.copytree(folder, folder.with_name("2"))


def _rewrite(folder: Path, text: str) -> None:
    (folder / layout.MANIFEST).write_text(text)


@case("stands there twice")
def manifest_key_twice(folder: Path) -> None:
    text = (folder / layout.MANIFEST).read_text()
    _rewrite(folder, text.replace("{", '{"model": "lab/net",', 1))


@case("schema")
def manifest_negative_size(folder: Path) -> None:
    table = json.loads((folder / layout.MANIFEST).read_text())
    table["files"][layout.CARD]["bytes"] = -1
    _rewrite(folder, json.dumps(table))


@case("its digest differs")
def manifest_wrong_digest(folder: Path) -> None:
    table = json.loads((folder / layout.MANIFEST).read_text())
    table["files"][layout.CARD]["sha256"] = "sha256:" + "0" * 64
    _rewrite(folder, json.dumps(table))


@case("not a file of a submission")
def manifest_traversal(folder: Path) -> None:
    table = json.loads((folder / layout.MANIFEST).read_text())
    table["files"]["../../../etc/passwd"] = table["files"][layout.CARD]
    _rewrite(folder, json.dumps(table))
