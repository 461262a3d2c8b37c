"""The command line.  Standard output holds the result, standard error everything else."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

import rag
from rag.errors import RagError
from rag.faces import show
from rag.faces.articles import articles
from rag.faces.evaluate import evaluation
from rag.faces.options import (
    INTERRUPTED,
    filter_options,
    index_option,
    json_option,
    print_json,
    stop_between_steps,
)
from rag.files import records, shown
from rag.to_json import found, to_dict
from rag.types import Answer, Filter

SOME_FAILED = 3
"""Exit code of an ingest that left some pages unread."""


class Commands(click.Group):
    """The command group, which turns our errors into one line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except RagError as error:
            logging.getLogger(__name__).debug("failed", exc_info=True)
            # It may name what stands in a file or an index.
            raise click.ClickException(show.line(str(error))) from error
        except BrokenPipeError:
            # The reader of our output has seen enough; the interpreter must not try to flush it again.
            sys.stderr.close()
            sys.exit(0)
        except KeyboardInterrupt:
            click.echo("stopped", err=True)
            sys.exit(INTERRUPTED)
        except MemoryError as error:
            raise click.ClickException("not enough memory: close other programs or ingest a smaller source") from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(rag.__version__, prog_name="rag")
@click.option("--verbose", is_flag=True, help="Log what happens to standard error.")
def main(verbose: bool) -> None:
    """Ask your articles, and see the exact words that answer."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.WARNING,
        format="%(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    told = logging.StreamHandler()
    told.setFormatter(logging.Formatter("footnote: %(message)s"))
    # What takes long and is seldom done is told to everyone.
    for name in ("rag.embed.prepare", "rag.store.local", "rag.store.restore", "rag.store.sealing", "rag.spread.pool"):
        notices = logging.getLogger(name)
        notices.setLevel(logging.INFO)
        if not verbose:
            notices.handlers, notices.propagate = [told], False
    if not verbose:
        # Their warnings are about themselves and would bury our one line.
        for name in ("transformers", "sentence_transformers", "huggingface_hub", "trafilatura", "httpx"):
            logging.getLogger(name).setLevel(logging.ERROR)


@main.command()
@click.argument("source", nargs=-1, required=True, metavar="SOURCE...")
@index_option
@click.option("--rebuild", is_flag=True, help="Start from nothing but the vectors computed so far.")
@click.option("--prune", is_flag=True, help="Remove articles that came from SOURCE and are no longer there.")
@click.option("--dry-run", is_flag=True, help="Only count what would be done.")
@click.option("--with", "with_", type=click.Choice(["ray"]),
              help="Spread reading and embedding over the workers of a Ray cluster.")  # fmt: skip
@json_option
def ingest(
    source: tuple[str, ...], index: str, rebuild: bool, prune: bool, dry_run: bool, with_: Any, as_json: bool
) -> None:
    """Bring the articles of files and folders into the index."""
    from rag import keeping
    from rag.settings import Settings

    with stop_between_steps() as stop_if_asked, show.progress() as on_progress:

        def step(progress: rag.Progress) -> None:
            on_progress(progress)
            stop_if_asked()

        report = keeping.ingest(
            source,
            index,
            Settings.load(),
            prune=prune,
            rebuild=rebuild,
            dry_run=dry_run,
            with_=with_,
            on_progress=step,
        )
    if as_json:
        print_json(to_dict(report))
    else:
        click.echo(show.report(report, dry_run=dry_run))
    for failure in report.failed:
        click.echo(show.line(f"not read: {shown(failure.source)}: {failure.reason}"), err=True)
    if report.failed:
        sys.exit(SOME_FAILED)


@main.command()
@click.argument("question")
@click.option("-k", type=int, default=10, show_default=True, help="Number of hits.")
@click.option("--group", type=click.Choice(["passage", "article"]), default="passage", show_default=True,
              help="Hits of different articles, each by its best passage, or all.")  # fmt: skip
@filter_options
@index_option
@json_option
def search(question: str, k: int, group: Any, where: Filter | None, index: str, as_json: bool) -> None:
    """Find the passages nearest to a question."""
    from rag.retrieve import quoted

    with rag.open(index) as engine:
        hits = engine.search(question, k=k, where=where, group=group)
        phrases = quoted(question, engine.settings.search.phrase_words)
    if as_json:
        print_json(found(question, hits))
    else:
        click.echo(show.hits(hits, phrases))


@main.command()
@click.argument("question", required=False)
@click.option(
    "--questions",
    type=click.Path(),
    metavar="FILE.jsonl",
    help='One {"question": ...} a line, with "history" where it follows; one answer a line.',
)
@filter_options
@index_option
@json_option
def ask(question: str | None, questions: str | None, where: Filter | None, index: str, as_json: bool) -> None:
    """Answer a question, each sentence cited to the words that say so."""
    if (question is None) == (questions is None):
        raise click.UsageError("give a question or --questions FILE.jsonl, one of the two")
    asked: list[tuple[str, Any]] = [(question, ())] if question is not None else list(_questions(Path(str(questions))))
    with rag.open(index) as engine:
        for n, (q, history) in enumerate(asked):
            if as_json:
                print_json(to_dict(engine.ask(q, history=history, where=where)))
                continue
            if len(asked) > 1:
                click.echo(f"{chr(10) if n else ''}{show.line(q)}")
            for piece in engine.stream(q, history=history, where=where):
                click.echo(show.piece(piece), nl=False)
                if isinstance(piece, Answer):
                    click.echo(show.sources(piece))


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to serve on.")
@click.option("--port", type=click.IntRange(1, 65535), default=7860, show_default=True, help="Port to serve on.")
@index_option
def serve(host: str, port: int, index: str) -> None:
    """Open the chat page."""
    click.echo("footnote: opening the index", err=True)
    with rag.open(index) as engine:
        # The model loads here, not at the first question.
        engine.search("warm up", k=1)
        _ = engine.writer, engine.entails  # and what they lack is told now
        click.echo("footnote: starting the page", err=True)
        from rag.faces import serving

        serving.serve(
            engine,
            index=Path(index),
            host=host,
            port=port,
            examples=engine.settings.page.examples,
            editable=True,
        )


@main.command()
@click.argument("file", type=click.Path())
@index_option
@json_option
def backup(file: str, index: str, as_json: bool) -> None:
    """Write the index into one FILE, while it is used."""
    from rag import keeping
    from rag.settings import Settings

    with stop_between_steps("no backup was written") as stop_if_asked, show.progress() as on_progress:

        def step(steps: rag.Steps) -> None:
            on_progress(steps)
            stop_if_asked()

        size = keeping.backup(file, index, Settings.load(), on_progress=step)
    if as_json:
        print_json({"file": file, "bytes": size})
    else:
        click.echo(show.line(f"{shown(file)}: {size:,} bytes"))


@main.command()
@click.argument("file", type=click.Path())
@click.option("--replace", is_flag=True, help="Let the backup take the place of the articles that the index holds.")
@index_option
@json_option
def restore(file: str, replace: bool, index: str, as_json: bool) -> None:
    """Read a backup FILE into the index; nothing is embedded again."""
    from rag import keeping
    from rag.settings import Settings

    with stop_between_steps("nothing was changed") as stop_if_asked, show.progress() as on_progress:

        def step(steps: rag.Steps) -> None:
            on_progress(steps)
            stop_if_asked()

        stats = keeping.restore(file, index, Settings.load(), replace=replace, on_progress=step)
    if as_json:
        print_json({"articles": stats.articles, "passages": stats.passages})
    else:
        click.echo(f"{stats.articles:,} articles in {stats.passages:,} passages")


@main.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--prune", is_flag=True, help="Take out of TO what FROM has not.")
@json_option
def copy(source: str, target: str, prune: bool, as_json: bool) -> None:
    """Bring an index from one place to another; nothing is embedded again.

    A place is a folder, or a server's address as setting store.uri takes it.
    """
    from rag import moving
    from rag.settings import Settings

    with stop_between_steps() as stop_if_asked, show.progress() as on_progress:

        def step(steps: rag.Steps) -> None:
            on_progress(steps)
            stop_if_asked()

        report = moving.copy(source, target, Settings.load(), prune=prune, on_progress=step)
    if as_json:
        print_json(to_dict(report))
    else:
        click.echo(show.report(report, dry_run=False))


@main.command()
@index_option
@click.option("--repair", is_flag=True, help="Mend the index: only passages whose vectors are lost are embedded.")
@click.option("--against", metavar="PLACE", help="Hold the index against another: a folder, or a server's address.")
@json_option
def doctor(index: str, repair: bool, against: str | None, as_json: bool) -> None:
    """Tell what is installed, which model and index there are, and what is wrong with them.

    Every file of the index is read and held against its sum and against what else the index says.
    """
    from rag.faces.doctor import examine

    with stop_between_steps() as stop_if_asked, show.progress() as on_progress:

        def step(progress: rag.Steps) -> None:
            on_progress(progress)
            stop_if_asked()

        findings = examine(index, repair=repair, against=against, on_progress=step)
    if as_json:
        print_json(findings)
    else:
        click.echo(show.findings(findings))
    if findings["problems"]:
        sys.exit(1)


def _questions(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield each question of a file with what was said before it."""
    for where, record in records(path):
        asked = record.get("question", record.get("text"))
        if not isinstance(asked, str):
            raise RagError(f'{where} has no "question": write {{"question": "..."}} on each line')
        yield asked, record.get("history") or ()


main.add_command(articles)
main.add_command(evaluation)
