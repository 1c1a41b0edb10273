"""``wbench setup``: bring a simulator that is not ours to ship, once its licence is accepted."""

from __future__ import annotations

import sys

import click

__all__ = ["setup"]


@click.command()
@click.argument("name", metavar="NAME")
@click.option("--from", "source", metavar="PATH_OR_URL", help="A folder or git URL instead of the original's.")
@click.option("--accept-licence", is_flag=True, help="Accept the licence without being asked.")
def setup(name: str, source: str | None, accept_licence: bool) -> None:
    """Bring the simulator NAME (quadriga, cost2100) into wbench's folder of the user's data.

    On a terminal it asks whether you accept the licence; elsewhere --accept-licence says so.
    """
    from wbench.errors import UnknownNameError
    from wbench_generators import external
    from wbench_generators.cost2100.installed import COST2100
    from wbench_generators.quadriga.installed import QUADRIGA

    programs = {program.name: program for program in (QUADRIGA, COST2100)}
    if name not in programs:
        raise UnknownNameError("simulator to set up", name, programs, next_step="wbench setup quadriga")
    program = programs[name]
    if not accept_licence and _asks():
        click.echo(f"{program.terms}\n({program.source.removesuffix('.git')}, {program.licence})")
        accept_licence = click.confirm("Do you accept it?", default=False)
    place = external.install(program, source, accepted=accept_licence)
    about = external.record(place)
    commit = f", commit {about['commit']}" if about.get("commit") else ""
    click.echo(f"{name}{commit} -> {place}")
    click.echo(f"Its licence: {place / program.licence}")


def _asks() -> bool:
    """Whether somebody is there to answer."""
    return sys.stdin.isatty()
