"""The command that shows pipelines and their runs on a live page."""

from __future__ import annotations

import sys
import webbrowser
from collections.abc import Sequence

import click

from ..model.page import LivePage, Page
from ..model.run import Report
from ._command import command
from ._console import stdout
from ._pages import made_now, page_plugin, page_title
from ._recorded_runs import find_recorded_runs
from ._selection import PipelineFiles, pipeline_files

__all__ = ["ui"]


@command
@pipeline_files
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, show_default=True, help="Port of this machine; 0 for any."
)
@click.option("--open", "open_page", is_flag=True, help="Show the page in a browser.")
@click.option("--allow-run", is_flag=True, help="Let the page start runs of all the pipelines.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="Maximum number of runs.")
def ui(files: PipelineFiles, port: int, open_page: bool, allow_run: bool, limit: int) -> None:
    """Show the pipelines and their runs on a page that follows runs as they go. Ctrl-C ends it.

    The page is only for this machine, and for anyone who has its address.
    """
    plugins = page_plugin()
    pipelines = files.load(columns=True)

    loaded = True

    def load() -> Page:
        nonlocal pipelines, loaded
        pipelines = pipelines if loaded else files.load(columns=True)
        loaded = False
        return Page(pipelines, (), page_title(pipelines), made_now())

    def read_runs() -> Sequence[Report]:
        return (find_recorded_runs(pipelines, limit) or [])[:limit]

    def opened(address: str) -> None:
        stdout().print(f"the page is at {address}", highlight=False, markup=False, soft_wrap=True)
        stdout().print("Ctrl-C ends it", style="dim")
        sys.stdout.flush()
        if open_page:
            webbrowser.open(address)

    start = (sys.executable, "-m", "starlake_core", "run", *files.arguments()) if allow_run else ()
    try:
        plugins.serve_page(LivePage(load, read_runs, start, port, opened))
    except KeyboardInterrupt:
        stdout().print("ended")
