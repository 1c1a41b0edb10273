"""How large the parts of a submission may be. Every limit is applied before the thing is read."""

from __future__ import annotations

from typing import Final

__all__ = [
    "MAX_CARD_BYTES",
    "MAX_DIMENSIONS",
    "MAX_FILES",
    "MAX_FINDINGS",
    "MAX_FOLDER_BYTES",
    "MAX_INSIDE_BYTES",
    "MAX_JSON_DEPTH",
    "MAX_MANIFEST_BYTES",
    "MAX_OUTSIDE_BYTES",
    "MAX_PROVENANCE_BYTES",
    "MAX_RESULT_BYTES",
    "MAX_STATUS_BYTES",
    "MAX_TEXT",
]

#: Columns and predictions of one revision together, kept in git.
MAX_INSIDE_BYTES: Final = 10_000_000
#: One file of columns or predictions behind an address, when a maintainer has it here.
MAX_OUTSIDE_BYTES: Final = 8_000_000_000
#: One result: a hundred replicates of a dozen metrics are 25 kB.
MAX_RESULT_BYTES: Final = 500_000
#: The list of files: some 250 bytes each.
MAX_MANIFEST_BYTES: Final = 8_000_000
MAX_CARD_BYTES: Final = 100_000
MAX_STATUS_BYTES: Final = 1_000_000
MAX_PROVENANCE_BYTES: Final = 32_000
#: Files of one revision: every ranked instance with three budgets, three draws and three seeds are 2 000 results.
MAX_FILES: Final = 10_000
#: All files of one revision: two thousand results of the largest kind, and what lies in git of columns and predictions.
MAX_FOLDER_BYTES: Final = 200_000_000
#: Lists and tables within one another; a result needs five.
MAX_JSON_DEPTH: Final = 16
#: Characters of one text.
MAX_TEXT: Final = 2_000
MAX_DIMENSIONS: Final = 6
#: Lines of a report; the rest is counted.
MAX_FINDINGS: Final = 200
