"""Random faults on a dataset, one after the other, and an oracle that knows nothing of how wbench checks.

    python -m tests.helpers_faults --faults 200 --seed 1

Each round damages a finished dataset or kills a process that writes it. Then ``wbench verify`` has to name exactly the
shards whose files are not those of an undisturbed run, byte by byte; ``verify --repair`` or the same ``generate`` again
has to end in the undisturbed bits; and no file of a sound shard may have been touched.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.helpers_data import write_recipe
from tests.helpers_forks import Forks, Run


@dataclass
class Site:
    """A dataset under fault, and the undisturbed one beside it."""

    out: Path
    reference: Path
    foreign: Path
    recipe: Path
    forks: Forks
    chance: random.Random
    idle_s: float = 0.0  # of a run that has nothing to do
    shard_s: float = 0.0  # of a shard in an undisturbed run
    shards: int = 0
    content: str = ""
    counts: Counter[str] = field(default_factory=Counter)

    def files(self, shard: int, root: Path | None = None) -> list[Path]:
        """Data files of a shard, as the undisturbed dataset has them."""
        arrays = sorted(path.parents[1] for path in self.reference.glob("*/c/1"))  # one chunk: a coordinate
        found = [path for array in arrays for path in (array / "c" / str(shard), *array.glob(f"c/{shard}/**/*"))]
        places = [path for path in found if path.is_file()]
        return [(root or self.out) / place.relative_to(self.reference) for place in sorted(places)]

    def entry(self, shard: int, root: Path | None = None) -> Path:
        return (root or self.out) / ".wbench" / f"shard-{shard:06d}.json"

    def pick(self, count: int = 1) -> list[int]:
        return self.chance.sample(range(self.shards), count)

    def run(self, *arguments: object, kill_after_s: float | None = None) -> Run:
        return self.forks.run(*arguments, kill_after_s=kill_after_s)

    def generate(self, kill_after_s: float | None = None) -> Run:
        return self.run("generate", self.recipe, "--size", "tiny", "--out", self.out, kill_after_s=kill_after_s)

    def verify(self, *options: str, kill_after_s: float | None = None) -> Run:
        return self.run("verify", self.out, *options, kill_after_s=kill_after_s)


# --- the oracle ----------------------------------------------------------------------------------------------------


def sound(site: Site, shard: int) -> bool:
    """Whether a shard's files are those of the undisturbed run."""
    pairs = zip(site.files(shard), site.files(shard, site.reference), strict=True)
    return has_entry(site, shard) and all(a.is_file() and a.read_bytes() == b.read_bytes() for a, b in pairs)


def has_entry(site: Site, shard: int) -> bool:
    """Whether the manifest says of a shard what it should say."""
    try:
        found = json.loads(site.entry(shard).read_text(encoding="utf-8"))
        wanted = json.loads(site.entry(shard, site.reference).read_text(encoding="utf-8"))
        return json.dumps(found, sort_keys=True) == json.dumps(wanted, sort_keys=True)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def unsound(site: Site) -> set[int]:
    beyond = {int(m[1]) for p in site.out.glob(".wbench/shard-*.json") if (m := re.fullmatch(r"shard-(\d{6})", p.stem))}
    return {shard for shard in range(site.shards) if not sound(site, shard)} | {s for s in beyond if s >= site.shards}


def stamps(site: Site, shards: set[int]) -> dict[str, tuple[int, int]]:
    """Inode and time of change of every file of these shards."""
    paths = [path for shard in shards for path in (*site.files(shard), site.entry(shard))]
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in paths}


# --- the faults ----------------------------------------------------------------------------------------------------


def _file(site: Site) -> Path:
    return site.chance.choice(site.files(site.pick()[0]))


def flip(site: Site, path: Path, bits: int = 1) -> None:
    data = bytearray(path.read_bytes())
    for _ in range(bits):
        data[site.chance.randrange(len(data))] ^= 1 << site.chance.randrange(8)
    path.write_bytes(data)


def truncate(site: Site, path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(
        data[: site.chance.choice([0, 1, len(data) // 2, len(data) - 1, site.chance.randrange(len(data))])]
    )


def flip_data(site: Site) -> None:
    flip(site, _file(site), site.chance.choice([1, 1, 2, 64]))


def truncate_data(site: Site) -> None:
    truncate(site, _file(site))


def grow_data(site: Site) -> None:
    with _file(site).open("ab") as stream:
        stream.write(site.chance.randbytes(site.chance.randint(1, 5000)))


def zero_data(site: Site) -> None:
    """A page that never reached the disk."""
    path = _file(site)
    data = bytearray(path.read_bytes())
    start = site.chance.randrange(len(data))
    length = min(512, len(data) - start)
    data[start : start + length] = bytes(length)
    path.write_bytes(data)


def delete_data(site: Site) -> None:
    for shard in site.pick(site.chance.randint(1, 3)):
        for path in site.chance.sample(files := site.files(shard), site.chance.randint(1, len(files))):
            path.unlink()


def delete_array(site: Site) -> None:
    array = site.chance.choice(sorted({path.relative_to(site.out).parts[0] for path in site.files(0)}))
    shutil.rmtree(site.out / array / "c")


def swap_data(site: Site) -> None:
    """The files of two shards exchanged: every file is whole, and at the wrong place."""
    one, two = site.pick(2)
    for a, b in zip(site.files(one), site.files(two), strict=True):
        first, second = a.read_bytes(), b.read_bytes()
        a.write_bytes(second)
        b.write_bytes(first)


def flip_entry(site: Site) -> None:
    flip(site, site.entry(site.pick()[0]))


def truncate_entry(site: Site) -> None:
    truncate(site, site.entry(site.pick()[0]))


def delete_entry(site: Site) -> None:
    for shard in site.pick(site.chance.randint(1, 5)):
        site.entry(shard).unlink()


def delete_manifest(site: Site) -> None:
    shutil.rmtree(site.out / ".wbench")


def swap_entries(site: Site) -> None:
    one, two = (site.entry(shard) for shard in site.pick(2))
    first = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(first)


def foreign_shard(site: Site) -> None:
    """A whole shard of a dataset with another seed, entry included."""
    shard = site.pick()[0]
    for path in (*site.files(shard), site.entry(shard)):
        shutil.copyfile(site.foreign / path.relative_to(site.out), path)


def foreign_data(site: Site) -> None:
    shard = site.pick()[0]
    for path in site.files(shard):
        shutil.copyfile(site.foreign / path.relative_to(site.out), path)


def entry_beyond(site: Site) -> None:
    """An entry for a shard that the dataset does not have."""
    shutil.copyfile(site.entry(site.pick()[0]), site.entry(site.shards + site.chance.randint(0, 3)))


def leftovers(site: Site) -> None:
    """What killed writers leave; it harms nobody."""
    path = _file(site)
    path.with_name(f"{path.name}.{site.chance.randrange(10**6)}.partial").write_bytes(b"half")
    (site.out / ".wbench" / f".shard-000001.json.{site.chance.randrange(10**6)}.tmp").write_text('{"spec"')


def kill(site: Site, command: Callable[[float], Run], shards: int) -> None:
    """Run a command that has some shards to make, and end it at a random moment, now and then too late."""
    run = command(site.chance.uniform(0, site.idle_s + site.shard_s * shards))
    assert run.code in (0, -9), run
    site.counts["killed in time"] += run.code == -9


def kill_fresh(site: Site) -> None:
    """SIGKILL at any moment of a run into an absent folder."""
    shutil.rmtree(site.out)
    kill(site, site.generate, site.shards)


def kill_resumed(site: Site) -> None:
    """SIGKILL at any moment of a run that carries on."""
    shards = site.pick(site.chance.randint(2, site.shards))
    for shard in shards:
        site.entry(shard).unlink()
    kill(site, site.generate, len(shards))


def kill_repair(site: Site) -> None:
    """SIGKILL at any moment of a repair."""
    shards = site.pick(site.chance.randint(2, site.shards // 2))
    for shard in shards:
        flip(site, site.chance.choice(site.files(shard)))
    kill(site, lambda after_s: site.verify("--repair", kill_after_s=after_s), site.shards // 2 + len(shards))


def several(site: Site) -> None:
    """Several faults at once, as a dying disk makes them."""
    for fault in site.chance.sample([flip_data, truncate_data, delete_entry, zero_data, flip_data], 3):
        fault(site)


FAULTS: tuple[Callable[[Site], None], ...] = (
    flip_data, truncate_data, grow_data, zero_data, delete_data, delete_array, swap_data, flip_entry, truncate_entry,
    delete_entry, delete_manifest, swap_entries, foreign_shard, foreign_data, entry_beyond, leftovers, kill_fresh,
    kill_resumed, kill_repair, several, kill_fresh, kill_resumed, kill_repair,
)  # fmt: skip


# --- one round -----------------------------------------------------------------------------------------------------


def one_round(site: Site, fault: Callable[[Site], None]) -> None:
    """A fault, what ``verify`` says of it, and the way back."""
    fault(site)
    what = fault.__name__
    site.counts[what] += 1
    if not site.out.exists():  # killed before there was anything
        run = site.generate()
        assert run.code == 0, (what, run)
    else:
        bad = unsound(site)
        run = site.verify()
        named = {int(number) for number in re.findall(r"^shard (\d+): ", run.out, re.M)}
        assert named == bad, (what, f"named {sorted(named)}, unsound {sorted(bad)}", run.out)
        assert run.code == bool(bad), (what, run)
        site.counts["unsound shards"] += len(bad)
        before = stamps(site, set(range(site.shards)) - bad)
        # `generate` believes entries that can be read: it is the way back where there are none, or they cannot.
        lines = re.findall(r"^shard \d+: (.*)", run.out, re.M)
        by_generate = all(line.startswith(("missing", "its manifest entry")) for line in lines)
        by_generate = by_generate and site.chance.random() < 0.5
        run = site.generate() if by_generate else site.verify("--repair")
        site.counts["by generate" if by_generate else "by repair"] += 1
        assert run.code == 0, (what, run)
        assert stamps(site, set(range(site.shards)) - bad) == before, f"{what}: sound shards were touched"
    assert f"content {site.content}" in run.out, (what, run)
    assert not unsound(site), (what, sorted(unsound(site)))
    if "shards made, " in run.out:  # `generate` believes the manifest
        run = site.verify()
        assert run.code == 0, (what, run)


def prepare(folder: Path, forks: Forks, recipe: Path, seed: int) -> Site:
    """The undisturbed dataset, one of another seed, and a copy to damage."""
    chance = random.Random(seed)
    site = Site(folder / "out.zarr", folder / "reference.zarr", folder / "foreign.zarr", recipe, forks, chance)
    run = site.generate()
    assert run.code == 0, run
    shutil.copytree(site.out, site.reference)
    site.shards = int(re.search(r"(\d+) shards made", run.out)[1])  # type: ignore[index]
    site.content = re.search(r"content (\S+)", run.out)[1]  # type: ignore[index]
    site.idle_s = site.generate().seconds
    site.shard_s = max(0.0, run.seconds - site.idle_s) / site.shards
    run = site.run("generate", recipe, "--size", "tiny", "--out", site.foreign, "--seed", 999)
    assert run.code == 0, run
    return site


def run_faults(site: Site, faults: int, kinds: tuple[Callable[[Site], None], ...] = FAULTS) -> Counter[str]:
    """So many rounds; every kind in turn, in a random order."""
    order: list[Any] = []
    for _ in range(faults):
        if not order:
            order = site.chance.sample(kinds, len(kinds))
        one_round(site, order.pop())
    return site.counts


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shards", type=int, default=24)
    arguments = parser.parse_args()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as name, Forks(Path(name)) as forks:
        recipe = survival_recipe(Path(name), arguments.shards)
        site = prepare(Path(name), forks, recipe, arguments.seed)
        counts = run_faults(site, arguments.faults)
    seconds = time.monotonic() - begin
    print(f"{arguments.faults} faults on {site.shards} shards in {seconds:.0f} s, every one ended in {site.content}")
    print(", ".join(f"{name} {count}" for name, count in sorted(counts.items())))


def survival_recipe(folder: Path, shards: int) -> Path:
    """Plane waves; the last shard has one block of two."""
    return write_recipe(folder, "faults", samples=shards * 16 - 8, block=8, shard_blocks=2, paths=20, subcarriers=16)


if __name__ == "__main__":
    main()
