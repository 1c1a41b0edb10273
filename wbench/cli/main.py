"""The command ``wbench``: a lazy click group. A subcommand's module is imported when it is used."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

from wbench import __version__, registry
from wbench.errors import UnknownNameError, WBenchError

__all__ = ["main"]

# name -> (module, attribute, one line). The line stands here so that --help imports no command.
_COMMANDS = {
    "list": ("wbench.cli.listing", "list_", "List generators, recipes, tasks, models, suites."),
    "doctor": ("wbench.cli.doctor", "doctor", "Say what works on this machine and what to install."),
    "generate": ("wbench.cli.generate", "generate", "Generate a dataset: simulator → Zarr."),
    "inspect": ("wbench.cli.inspect", "inspect_", "Summarise a dataset."),
    "verify": ("wbench.cli.inspect", "verify", "Check every shard's bits; --repair makes damaged ones again."),
    "export": ("wbench.cli.export", "export", "Write a dataset as HDF5, MATLAB or NPZ, in our layout or a public one."),
    "ingest": ("wbench.cli.export", "ingest", "Read a released WiFo or CsiNet file into a dataset."),
    "card": ("wbench.cli.export", "card", "Dataset card: Markdown, or Croissant JSON-LD."),
    "train": ("wbench.cli.train", "train", "Fit a model and show what it chose on validation."),
    "pretrain": ("wbench.cli.pretrain", "pretrain", "Pre-train a foundation model on training sides of tasks."),
    "evaluate": ("wbench.cli.evaluate", "evaluate", "Score models on tasks."),
    "score": ("wbench.cli.evaluate", "score", "Recompute a result's scores from its predictions."),
    "embed": ("wbench.cli.embed", "embed", "Embeddings of a task's samples: PCA and t-SNE by label, or a file."),
    "check": ("wbench.cli.check", "check", "Run the conformance suite on a plug-in."),
}


class _LazyGroup(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*_COMMANDS, *registry.registry().names("command")]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _COMMANDS:
            module, attribute, _ = _COMMANDS[cmd_name]
            command: click.Command = getattr(import_module(module), attribute)
            return command
        if cmd_name in registry.registry().entries["command"]:
            provided: click.Command = registry.load("command", cmd_name)
            return provided
        return None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if args and not name.startswith("-") and name not in self.list_commands(ctx):
            raise UnknownNameError("command", name, self.list_commands(ctx), next_step="wbench --help")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        provided = registry.registry().entries["command"]
        rows = [(name, line) for name, (_, _, line) in _COMMANDS.items()]
        rows += [(name, provided[name].summary) for name in sorted(provided)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="wbench")
def _cli() -> None:
    """Wireless channel datasets from real simulators, tasks with fixed splits, baselines, and a leaderboard.

    First result in minutes:  wbench demo
    """


def main(arguments: list[str] | None = None) -> Any:
    """Run the command line and exit with its code: 0 done, 1 some units failed, 2 usage, 3 something is missing."""
    try:
        code = _cli.main(args=arguments, prog_name="wbench", standalone_mode=False)
    except WBenchError as error:
        click.secho("error: ", fg="red", bold=True, nl=False, err=True)
        click.echo(str(error), err=True)
        code = error.exit_code
    except click.exceptions.Exit as leaving:
        code = leaving.exit_code
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (KeyboardInterrupt, click.exceptions.Abort):
        click.echo("\nStopped. What is finished is kept; the same command carries on.", err=True)
        code = 130
    except OSError as error:  # disk full, no permission, …: the system's own words say which file
        click.secho("error: ", fg="red", bold=True, nl=False, err=True)
        click.echo(str(error), err=True)
        code = 1
    sys.exit(code if isinstance(code, int) else 0)
