"""The command line that all jobs share: NAME.py [--config FILE] [--dry-run] [KEY=VALUE ...].

Exit 0 done; 2 what was asked is wrong (one line, no traceback); 1 anything else.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from physioclr import configfile
from physioclr.costs import CostTable, load_costs
from physioclr.errors import RejectedRecording, UserError, causes
from physioclr.pipeline.run import with_absolute_uris
from physioclr.uris import redacted

Config = TypeVar("Config", bound=BaseModel)
Facts = dict[str, Any]
Benchmarks = dict[str, tuple[type[Any], Callable[[Any, Console], Facts]]]


def run_job(
    description: str,
    model: type[Config],
    stage: Callable[[Config, Console], Facts],
    dry_run: Callable[[Config, CostTable], Facts],
    arguments: Sequence[str] | None = None,
) -> int:
    """Read the configuration, call the stage, print its summary as a table; returns the exit code.

    `dry_run` tells what would be done and what it would cost, as facts for a table, without doing it.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--config", metavar="FILE", help="YAML file or URI; without it, the embedded demo")
    parser.add_argument("--dry-run", action="store_true", help="stop after saying what would be done, and its cost")
    parser.add_argument("--costs", metavar="FILE", help="rates and prices for --dry-run; without it configs/costs.yaml")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE", help="for example training.epochs=5")
    given = parser.parse_args(arguments)
    console = job_console()

    def work() -> None:
        config = resolved(model, given.config, given.overrides, console)
        facts = dry_run(config, load_costs(given.costs)) if given.dry_run else stage(config, console)
        console.print(table_of("What would be done" if given.dry_run else "Done", facts))

    return guarded(work)


def run_benchmark(
    description: str,
    benchmarks: Benchmarks,
    arguments: Sequence[str] | None = None,
) -> int:
    """Run one of `benchmarks` (name: configuration and function); its figures are the last line, as JSON."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("what", choices=sorted(benchmarks))
    parser.add_argument("--config", metavar="FILE", help="YAML file or URI; without it, the defaults")
    parser.add_argument("--dry-run", action="store_true", help="stop after the configuration")
    parser.add_argument("overrides", nargs="*", metavar="KEY=VALUE")
    given = parser.parse_args(arguments)
    console = job_console()

    def work() -> None:
        model, benchmark = benchmarks[given.what]
        config = resolved(model, given.config, given.overrides, console)
        if not given.dry_run:
            print(json.dumps({"benchmark": given.what, **benchmark(config, console)}))

    return guarded(work)


def resolved(model: type[Config], path: str | None, overrides: Sequence[str], console: Console) -> Config:
    """The configuration as it will be used, printed."""
    config = with_absolute_uris(configfile.load(model, path, overrides))
    console.print(configfile.dump(config).rstrip(), highlight=False, markup=False)
    console.print()
    return config


def job_console() -> Console:
    """Where jobs print: as wide as the terminal, or 120 columns in a log."""
    console = Console()
    return console if console.is_terminal else Console(width=120)


def guarded(work: Callable[[], None]) -> int:
    """Run `work`; a user's error anywhere in its chain becomes one line and exit code 2."""
    try:
        work()
    except Exception as error:
        message = user_message(error)
        if message is None:
            raise
        print(f"error: {message}", file=sys.stderr)
        return 2
    return 0


def user_message(error: BaseException) -> str | None:
    """The sentence of a `UserError` that is `error` or lies behind it, as Ray wraps what its workers raise."""
    for one in causes(error):
        if isinstance(one, UserError) and not isinstance(one, RejectedRecording):
            return redacted(" ".join(str(one.args[0] if one.args else one).split()))
    return None


def table_of(title: str, facts: Facts) -> Table:
    """Facts as a two-column table; nested facts are indented by their key."""
    table = Table(title=title, show_header=False, title_justify="left")
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in facts.items():
        if isinstance(value, dict):
            for inner, number in value.items():
                table.add_row(f"{key}: {inner}".replace("_", " "), _shown(number))
        else:
            table.add_row(key.replace("_", " "), _shown(value))
    return table


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
