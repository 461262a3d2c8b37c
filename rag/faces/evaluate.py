"""`rag eval`: the commands that measure search and answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import click

from rag.errors import RagError
from rag.faces import show
from rag.faces.options import index_option, json_option, print_json, stop_between_steps
from rag.types import Progress, Steps

out_option = click.option(
    "--out", default="eval/out", show_default=True, metavar="DIR", help="Folder of runs, indexes and reports.",
    type=click.Path(path_type=Path),
)  # fmt: skip
measures_option = click.option(
    "--measures", "-m", metavar="NAMES", help="Names of ir_measures, as 'nDCG@10 R@100'; unset: a sensible seven."
)


data_argument = click.argument("data", nargs=-1, required=True, metavar="DATA...")
config_option = click.option(
    "--config", multiple=True, metavar="NAME=VALUE", help="A setting to measure with.  May be repeated."
)
split_option = click.option(
    "--split", default="test", show_default=True, help="Judgments of DATA to use: qrels/SPLIT.tsv."
)
there_option = click.option(
    "--index", metavar="DIR", help="This index as it is; unset: one of the data's own articles."
)
most_option = click.option(
    "--most", type=click.IntRange(1), metavar="N", help="At most N questions with and N without an answer."
)


@click.group("eval")
def evaluation() -> None:
    """Measure search and answers on questions whose answers are known."""


@evaluation.command()
@data_argument
@config_option
@click.option("--name", help="Name of the run; unset: what --config says.")
@split_option
@there_option
@measures_option
@out_option
@json_option
def retrieval(
    data: tuple[str, ...], config: tuple[str, ...], name: str | None, split: str, index: str | None,
    measures: str | None, out: Path, as_json: bool,
) -> None:  # fmt: skip
    """Put the questions of DATA to the search, and measure what it finds.

    DATA is a folder as BEIR has it, or one with questions.csv and the articles in articles/.
    """
    from rag.evaluation import commands, tables

    with _shown() as step:
        rows = commands.retrieval(
            data,
            config=config,
            name=name,
            split=split,
            index=index,
            measures=measures.split() if measures else None,
            out=out,
            on_progress=step,
        )
    for row in rows:
        if row["quotes_not_found"]:
            told = f"{row['set']}: {row['quotes_not_found']} quotes do not stand in the articles"
            click.echo(show.line(told), err=True)
    _tell(rows, as_json, tables.retrieval)


@evaluation.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN...")
@click.option("--data", metavar="DATA", help="Judgments and texts from here, not from beside the first run.")
@split_option
@click.option(
    "--out", metavar="NAME", type=click.Path(path_type=Path), help="Write NAME.md, NAME.json and NAME.html too."
)
@measures_option
@json_option
def compare(
    runs: tuple[str, ...], data: str | None, split: str, out: Path | None, measures: str | None, as_json: bool
) -> None:
    """Compare runs with the first of them, question by question.

    Each RUN is a TREC file, as `rag eval retrieval` writes it or any other system.
    """
    from rag.evaluation import commands, tables

    found = commands.compare(runs, data=data, split=split, measures=measures.split() if measures else None, out=out)
    _tell(found, as_json, tables.comparison)


@evaluation.command()
@data_argument
@config_option
@click.option("--name", help="Name of the run; unset: answers and what --config says.")
@click.option("--half", "part", type=click.Choice(["all", "tune", "report"]), default="all", show_default=True,
              help="Questions for tuning, for reporting, or all.")  # fmt: skip
@most_option
@there_option
@out_option
@json_option
def answers(
    data: tuple[str, ...], config: tuple[str, ...], name: str | None, part: str, most: int | None, index: str | None,
    out: Path, as_json: bool,
) -> None:  # fmt: skip
    """Ask the questions of DATA, and hold the answers against what is known."""
    from rag.evaluation import commands, tables

    with _shown() as step:
        rows = commands.answers(
            data, config=config, name=name, part=part, most=most, index=index, out=out, on_progress=step
        )
    _tell(rows, as_json, tables.answers)


@evaluation.command()
@data_argument
@config_option
@click.option("--wrong-cost", type=click.FloatRange(0, min_open=True), default=1.0, show_default=True,
              help="What a wrong answer costs, in wrong refusals.")  # fmt: skip
@most_option
@there_option
@click.option("--write", metavar="FILE", type=click.Path(path_type=Path), help="Put the threshold there: rag.toml.")
@out_option
@json_option
def calibrate(
    data: tuple[str, ...], config: tuple[str, ...], wrong_cost: float, most: int | None, index: str | None,
    write: Path | None, out: Path, as_json: bool,
) -> None:  # fmt: skip
    """Choose the threshold of refusing on the tuning halves of DATA."""
    from rag.evaluation import commands, tables

    with _shown() as step:
        found = commands.calibrate(
            data, config=config, wrong_cost=wrong_cost, most=most, index=index, write=write, out=out, on_progress=step
        )
    _tell(found, as_json, tables.calibration)


@evaluation.command()
@data_argument
@click.option("--over", "axes", multiple=True, required=True, metavar="NAME=VALUE,VALUE",
              help="A setting and its values.  Repeated: every combination.")  # fmt: skip
@click.option("--name", default="sweep", show_default=True, help="Name of the files written to --out.")
@split_option
@measures_option
@out_option
@json_option
def sweep(
    data: tuple[str, ...], axes: tuple[str, ...], name: str, split: str, measures: str | None, out: Path, as_json: bool
) -> None:
    """Measure many configurations on DATA, on the halves for tuning and for reporting."""
    from rag.evaluation import commands, tables

    names = measures.split() if measures else None
    with _shown() as step:
        found = commands.sweep(data, axes=axes, measures=names, split=split, out=out, name=name, on_progress=step)
    _tell(found, as_json, tables.sweep)


@evaluation.command()
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@index_option
@json_option
def opinions(folder: Path, index: str, as_json: bool) -> None:
    """Write into FOLDER what readers of the page thought of answers.

    questions.jsonl has the questions whose answers were called good, with what answers them: measure with it, as with
    your own.  criticised.jsonl has the others, to be read.
    """
    from rag.evaluation import opinions as judged
    from rag.faces.conversations import FILE, Conversations

    path = Path(index) / FILE
    if not path.exists():
        raise RagError(f"{path.absolute()} does not exist: nobody has asked anything on the page of this index yet")
    with closing(Conversations(path)) as kept:
        written = judged.write(kept.opinions(), folder)
    _tell(written, as_json, lambda told: "\n".join(f"{folder / name}: {n}" for name, n in told.items()))


@contextmanager
def _shown() -> Iterator[Callable[[Progress | Steps], None]]:
    """Give a function that shows progress and stops, when asked to, where nothing is lost."""
    with stop_between_steps() as stop_if_asked, show.progress() as on_progress:

        def step(progress: Progress | Steps) -> None:
            on_progress(progress)
            stop_if_asked()

        yield step


def _tell(found: Any, as_json: bool, as_text: Callable[[Any], str]) -> None:
    if as_json:
        print_json(found)
    else:
        # Sets and runs have the names of files.
        click.echo("\n".join(map(show.line, as_text(found).split("\n"))))
