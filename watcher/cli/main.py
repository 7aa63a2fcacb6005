"""The commands and their options; the work is in the sibling modules, imported when a command runs, so that `--help`
is quick.

Exit codes: 0 well, 1 bug, 2 usage, 3 configuration, 4 Galaxy unreachable or refused, 5 something held or failed, 130
interrupted.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from watcher import __version__
from watcher.errors import WatcherError

app = typer.Typer(
    name="galaxy-watcher",
    help="Takes finished sequencing runs into Galaxy, starts the right workflow and brings the results home.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
config_app = typer.Typer(
    help="Show an example configuration, its schema, or what is in effect.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(config_app, name="config")

ConfigPath = Annotated[
    Path | None,
    typer.Option(
        "--config", "-c", help="Configuration file; default: $WATCHER_CONFIG, then /etc/galaxy-watcher/config.yaml."
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Id = Annotated[
    str, typer.Argument(metavar="ID", help="Id of a unit (k7m2x9) or of a batch (k7m2x9-1), as `status` shows it.")
]


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"galaxy-watcher {__version__}")
        raise typer.Exit


@app.callback()
def galaxy_watcher(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Takes finished sequencing runs into Galaxy, starts the right workflow and brings the results home."""


@app.command()
def serve(config: ConfigPath = None) -> None:
    """Run as a daemon: watch, take in, follow, deliver, until stopped."""
    from watcher.cli.run import serve as run

    run(config)


@app.command()
def once(
    config: ConfigPath = None,
    wait: Annotated[
        str, typer.Option(help="How long to wait for runs that are not ready yet, e.g. 10m; default: the settle time.")
    ] = "",
    follow: Annotated[
        bool,
        typer.Option("--follow/--no-follow", help="Follow workflows to their end, or leave them for the next time."),
    ] = True,
    json: AsJson = False,
) -> None:
    """Take what is ready, follow it to its end, and stop."""
    from watcher.cli.run import once as run

    run(config, wait, follow, json)


@app.command()
def plan(
    path: Annotated[Path, typer.Argument(help="A watch folder, a run folder, a unit in it, or a file.")],
    config: ConfigPath = None,
    layout: Annotated[
        str, typer.Option(help="Layout to use without a configuration; auto recognises it by content.")
    ] = "",
    content: Annotated[
        bool, typer.Option("--content", help="Also read the files through (checksums, gzip, FASTQ records).")
    ] = False,
    assume_quiet: Annotated[
        bool, typer.Option("--assume-quiet", help="Answer as if nothing will change any more.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Show what would be done with a run, and why; writes nothing anywhere."""
    from watcher.cli.look import plan as run

    run(path, config, layout, content, assume_quiet, json)


@app.command()
def explain(
    path: Annotated[Path, typer.Argument(help="A watch folder, a run folder, a unit in it, or a file.")],
    config: ConfigPath = None,
    assume_quiet: Annotated[
        bool, typer.Option("--assume-quiet", help="Answer as if nothing will change any more.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Show which rule takes each sample of a run, and why the others do not; writes nothing anywhere."""
    from watcher.cli.look import explain as run

    run(path, config, assume_quiet, json)


@app.command()
def check(config: ConfigPath = None, json: AsJson = False) -> None:
    """Check the configuration, folders, Galaxy account and workflows before the first night."""
    from watcher.cli.check import check as run

    run(config, json)


@app.command()
def status(config: ConfigPath = None, json: AsJson = False) -> None:
    """Show every run and how it stands."""
    from watcher.cli.look import status as run

    run(config, json)


@app.command()
def show(id: Id, config: ConfigPath = None, json: AsJson = False) -> None:
    """Show all that is known of one unit: files, conditions, datasets, invocations, deliveries, journal."""
    from watcher.cli.look import show as run

    run(id, config, json)


@app.command()
def retry(
    id: Id,
    config: ConfigPath = None,
    from_stage: Annotated[str, typer.Option("--from", metavar="STAGE", help="Go back to this stage first.")] = "",
) -> None:
    """Go on with something held or failed.

    With the name of a watch: its folder is right as it is now, whatever mount it is on.
    """
    from watcher.cli.act import act

    act(config, "retry", id, {"from": from_stage} if from_stage else {})


@app.command()
def release(id: Id, config: ConfigPath = None) -> None:
    """Confirm the review that a workflow waits for, where its rule says `reviews: release`."""
    from watcher.cli.act import act

    act(config, "release", id, {})


@app.command()
def hold(id: Id, config: ConfigPath = None) -> None:
    """Keep a run folder that is to be moved or deleted; `retry` goes on with it."""
    from watcher.cli.act import act

    act(config, "hold", id, {})


@app.command()
def cancel(id: Id, config: ConfigPath = None) -> None:
    """Give something up for good, in Galaxy too; what is there stays."""
    from watcher.cli.act import act

    act(config, "cancel", id, {})


@app.command()
def demo(
    galaxy_url: Annotated[str, typer.Option(help="Use this Galaxy instead of a throw-away one.")] = "",
    api_key_file: Annotated[Path | None, typer.Option(help="Key file for --galaxy-url.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave Galaxy running at the end, to look around.")] = False,
    folder: Annotated[Path | None, typer.Option(help="Where the demo writes; default: a temporary folder.")] = None,
) -> None:
    """Watch a pretend sequencer write a run that goes through a real Galaxy and comes back."""
    from watcher.cli.demo import demo as run

    run(galaxy_url, api_key_file, keep, folder)


@config_app.command()
def example() -> None:
    """Print a complete example configuration."""
    from watcher.config.example import example_yaml

    typer.echo(example_yaml(), nl=False)


@config_app.command()
def schema() -> None:
    """Print the JSON Schema of the configuration."""
    import json

    from watcher.config.example import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))


@config_app.command(name="show")
def show_config(config: ConfigPath = None) -> None:
    """Print the configuration in effect, defaults filled in, secrets masked."""
    from watcher.cli.settings import settings_from
    from watcher.config.example import effective_yaml

    typer.echo(effective_yaml(settings_from(config, check_keys=False)), nl=False)


def main(arguments: list[str] | None = None) -> None:
    """Run a command; known errors end as a message and an exit code, never as a traceback."""
    try:
        code = app(args=arguments, standalone_mode=False)
    except WatcherError as error:
        _say(error)
        code = error.exit_code
    except typer.Exit as ending:
        code = ending.exit_code
    except typer.Abort:
        code = 130
    except typer.TyperException as error:
        typer.echo(f"Error: {error.format_message()}", err=True)
        typer.echo("  `galaxy-watcher --help` lists the commands; each has a --help of its own.", err=True)
        code = 2
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        sys.stderr.close()
        code = 0
    sys.exit(code or 0)


def _say(error: WatcherError) -> None:
    typer.echo(f"Error: {error.message}", err=True)
    if error.hint:
        typer.echo(f"  {error.hint}", err=True)
