"""Compute the fingerprints that ship with wbench, or hold the shipped ones against what this machine makes.

    python tools/fingerprints.py                      # recompute all shipped ones in place, blocks only
    python tools/fingerprints.py snap-umi --whole     # with the content digest: simulates all, writes no data
    python tools/fingerprints.py --check              # verdict on this machine and its library versions

Run it after a generator's or a recipe's version was raised. A fingerprint that changes without that is a bug.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from wbench import registry
from wbench.dataset.fingerprint import Fingerprint, compare_fingerprints
from wbench.dataset.fingerprint_files import read_fingerprint, write_fingerprint
from wbench.dataset.spec import SIZES
from wbench.run.fingerprint import fingerprint_recipe

FOLDER = Path(__file__).resolve().parent.parent / "generators" / "wbench_generators" / "fingerprints"


def main() -> int:
    """Compute or check; 1 if a check finds a different dataset."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", help="recipes [all that have a shipped fingerprint]")
    parser.add_argument("--size", choices=SIZES, action="append", help="may be repeated [all]")
    parser.add_argument("--whole", action="store_true", help="simulate everything, for the content digest")
    parser.add_argument("--check", action="store_true", help="write nothing, print the verdict")
    parser.add_argument("--out", type=Path, default=FOLDER, help="folder to write to or to check [the package]")
    args = parser.parse_args()
    known = registry.registry().names("recipe")
    recipes = args.recipes or [name for name in known if any(args.out.glob(f"{name}-{SIZES[0]}.json"))]
    worst = 0
    for recipe in recipes:
        for size in args.size or SIZES:
            made = fingerprint_recipe(recipe, size, whole=args.whole, show_progress=args.whole)
            path = args.out / f"{recipe}-{size}.json"
            if args.check:
                worst |= _check(made, path)
            else:
                _keep_content(made, path)
    return worst


def _check(made: Fingerprint, path: Path) -> int:
    shipped = read_fingerprint(path)
    if shipped.spec != made.spec:
        print(f"{path.stem}: stale, it is of another version of the recipe or generator")
        return 1
    verdict = compare_fingerprints(shipped, made)
    print(f"{path.stem}: {verdict}")
    return int(verdict.kind == "different")


def _keep_content(made: Fingerprint, path: Path) -> None:
    if made.content is None and path.exists():
        old = read_fingerprint(path)
        if old.spec == made.spec and old.content is not None:
            print(f"{path.stem}: kept, it has a content digest; --whole replaces it, --check compares")
            return
    write_fingerprint(made, path)
    print(f"{path.stem}: {path.stat().st_size / 1e3:.1f} kB, content {made.content or 'not computed'}")


if __name__ == "__main__":
    sys.exit(main())
