"""Write the files of ``docs/examples`` into the code blocks of the pages that show them.

A block is opened by a line ```` ```python title="acme_hall/models.py" ````; what stands in it is replaced by that file.
A test runs the same over the page and expects no change: ``python tools/tutorial.py`` after every edit of the package.
"""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["MODELS", "MODELS_PAGE", "PACKAGE", "PAGE", "filled", "shown"]

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs/tutorial-third-party.md"
PACKAGE = ROOT / "docs/examples/third_party"
MODELS_PAGE = ROOT / "docs/models.md"
MODELS = ROOT / "docs/examples/models"
_BLOCK = re.compile(r'^(```\w+ title="([^"]+)"\n)(.*?)^(```\n)', re.MULTILINE | re.DOTALL)


def shown(page: str) -> list[str]:
    """Names of the files that the page shows, in its order."""
    return [block.group(2) for block in _BLOCK.finditer(page)]


def filled(page: str, package: Path) -> str:
    """Return the page with the package's files in its blocks."""
    return _BLOCK.sub(lambda b: b[1] + (package / b[2]).read_text(encoding="utf-8") + b[4], page)


if __name__ == "__main__":
    for page, folder in ((PAGE, PACKAGE), (MODELS_PAGE, MODELS)):
        page.write_text(filled(page.read_text(encoding="utf-8"), folder), encoding="utf-8")
