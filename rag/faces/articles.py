"""The commands that list, show and remove articles: they need no model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import click

from rag.faces import show
from rag.faces.options import index_option, json_option, print_json
from rag.protocols import Store
from rag.to_json import to_dict
from rag.types import Filter


@click.group(invoke_without_command=True)
@index_option
@json_option
@click.pass_context
def articles(ctx: click.Context, index: str, as_json: bool) -> None:
    """List, show and remove articles."""
    given = {"index": index, "as_json": as_json}
    ctx.default_map = {"list": given, "show": given, "remove": given}
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_articles, index=index, as_json=as_json)


@articles.command("list")
@index_option
@json_option
def list_articles(index: str, as_json: bool) -> None:
    """List the articles of the index."""
    with _store(index) as store, store.view() as view:
        listed = view.articles()
    if as_json:
        print_json([{**to_dict(head), "passages": n} for head, n in listed])
    else:
        click.echo(show.articles(listed))


@articles.command("show")
@click.argument("id")
@click.option("--revision", metavar="R", help="As it was in this revision, which a citation names; unset: the newest.")
@index_option
@json_option
def show_article(id: str, revision: str | None, index: str, as_json: bool) -> None:
    """Show one article."""
    with _store(index) as store, store.view() as view:
        article = view.article(id, revision)
        current = view.current(id)
        count = next((n for head, n in view.articles(Filter(articles=(id,))) if head.id == id), 0)
    is_current = article.revision == current
    if as_json:
        print_json({**to_dict(article), "passages": count if is_current else 0, "current": is_current})
    else:
        click.echo(show.article(article, count if is_current else 0, current))


@articles.command("remove")
@click.argument("id")
@index_option
@json_option
def remove_article(id: str, index: str, as_json: bool) -> None:
    """Erase an article, all its revisions and their vectors."""
    from rag.keeping import remove
    from rag.settings import Settings

    remove(id, index, Settings.load())
    if as_json:
        print_json({"removed": id})
    else:
        click.echo(show.line(f"removed {id}"))


@contextmanager
def _store(index: str) -> Iterator[Store]:
    """Give the index's store, which knows no model."""
    from rag.settings import Settings
    from rag.store.places import place

    with closing(place(index, Settings.load().store).open()) as store:
        yield store
