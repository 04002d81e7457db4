"""The hooks of pages."""

from __future__ import annotations

from starlake_core import LivePage, Page, hookimpl

__all__ = ["sl_create_page", "sl_serve_page"]


@hookimpl
def sl_create_page(page: Page) -> str:
    from .contents import contents
    from .document import document
    from .run_contents import run_contents

    graph, details = contents(page.pipelines, page.title, page.made, page.sql)
    return document(graph, details, run_contents(page.pipelines, page.runs))


@hookimpl
def sl_serve_page(page: LivePage) -> bool:
    from .serving import serve

    serve(page)
    return True
