"""What a system is measured on: articles, questions, and what is known to answer them.

Three forms are read: a folder as BEIR has it (corpus.jsonl, queries.jsonl, qrels/test.tsv, and qa.jsonl beside
them where there are answers), a folder of one's own (questions.csv or questions.jsonl, and the articles in
articles/ or corpus.jsonl), and such a file of questions alone, to be put to an index that is there.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rag.errors import BadSource
from rag.files import records, sha256, text_of

Judgments = dict[str, dict[str, int]]
"""Grades of articles by question: 0 is judged and not relevant, what is absent was not judged."""

OWN = ("questions.csv", "questions.jsonl", "qa.jsonl")
"""Files of questions with their answers, in the order they are looked for."""


@dataclass(frozen=True, slots=True)
class Quote:
    """Words that answer a question, as they stand in an article; of any article when none is named."""

    text: str
    article: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """A question with what answers it: nothing does when it is not answerable."""

    id: str
    text: str
    answers: tuple[str, ...] = ()
    quotes: tuple[Quote, ...] = ()
    articles: tuple[str, ...] = ()
    answerable: bool = True


@dataclass(frozen=True)
class Collection:
    """Articles and questions.  `articles` is what to ingest, or None when an index is to be there already."""

    name: str
    path: Path
    articles: Path | None
    queries: Mapping[str, str]
    judgments: Judgments
    questions: Mapping[str, Question] = field(default_factory=dict)

    @property
    def judged(self) -> list[str]:
        """The ids of the queries that something is known to answer, sorted."""
        return sorted(id for id, grades in self.judgments.items() if any(g > 0 for g in grades.values()))

    def digest(self) -> str:
        """Return a digest of everything that a figure depends on: the articles, the queries, what answers them."""
        whole = hashlib.sha256()
        told = [dict(self.queries), self.judgments, [_plain(q) for q in self.questions.values()]]
        whole.update(json.dumps(told, ensure_ascii=False, sort_keys=True).encode())
        for path in sorted(_files(self.articles)):
            whole.update(f"{path.name} {sha256(path)}\n".encode())
        return whole.hexdigest()[:16]


def read(path: str | Path, split: str = "test") -> Collection:
    """Return the collection of a folder or file; `split` names the file of judgments.

    Raises BadSource, naming the file and the line, for a file that is missing or not in its form, a query that
    stands there twice, and a judgment of a query that is not there.
    """
    path = Path(path)
    if not path.exists():
        raise BadSource(f"{path.absolute()} does not exist: name a folder of articles and questions, or a file of them")
    if path.is_file():
        return _own(path, path, None)
    corpus = path / "corpus.jsonl"
    if (path / "queries.jsonl").exists():
        if not corpus.exists():
            raise BadSource(f"{path.absolute()} has queries.jsonl and no corpus.jsonl: put the articles there")
        return _beir(path, corpus, split)
    for name in OWN:
        if (path / name).exists():
            articles = next((a for a in (corpus, path / "articles") if a.exists()), None)
            return _own(path, path / name, articles)
    raise BadSource(
        f"{path.absolute()} holds no queries.jsonl (with corpus.jsonl and qrels/{split}.tsv, as BEIR has it) and no "
        "questions.csv: see docs/evaluate.md"
    )


def _beir(folder: Path, corpus: Path, split: str) -> Collection:
    queries: dict[str, str] = {}
    for where, record in records(folder / "queries.jsonl"):
        id, text = record.get("_id"), record.get("text")
        if not isinstance(id, str) or not isinstance(text, str) or not text.strip():
            raise BadSource(f'{where}: a query needs "_id" and "text"')
        _put_once(queries, id, text, where)
    answers = folder / "qa.jsonl"
    questions = _questions(answers) if answers.exists() else {}
    graded = folder / "qrels" / f"{split}.tsv"
    if graded.exists():
        judgments = _judgments(graded, queries)
    elif questions:
        judgments = _from_questions(questions.values())
    else:
        raise BadSource(f"{graded.absolute()} is missing: nothing says which article answers which query")
    return Collection(folder.name, folder, corpus, queries, judgments, questions)


def _own(path: Path, file: Path, articles: Path | None) -> Collection:
    questions = _questions(file)
    name = path.resolve().name if path.is_dir() else path.stem
    queries = {q.id: q.text for q in questions.values()}
    return Collection(name, path, articles, queries, _from_questions(questions.values()), questions)


def _judgments(path: Path, queries: Mapping[str, str]) -> Judgments:
    found: Judgments = {}
    for n, row in enumerate(_rows(path, "\t"), 1):
        where = f"{path.absolute()}:{n}"
        if len(row) != 3:
            raise BadSource(f"{where}: a judgment is a query's id, an article's id and a grade, with tabs between")
        query, article, grade = row
        if n == 1 and not grade.lstrip("-").isdigit():
            continue  # the names of the columns
        if not grade.lstrip("-").isdigit():
            raise BadSource(f"{where}: grade {grade!r} is no whole number")
        if query not in queries:
            raise BadSource(f"{where}: query {query!r} is not in queries.jsonl")
        _put_once(found.setdefault(query, {}), article, int(grade), where)
    if not found:
        raise BadSource(f"{path.absolute()} holds no judgment")
    return found


def _questions(path: Path) -> dict[str, Question]:
    """Return the questions of a file by id; rows of a table that ask the same are one question with several quotes."""
    found: dict[str, Question] = {}
    if path.suffix == ".csv":
        for question in _table(path):
            same = found.get(question.id)
            if same:
                question = Question(
                    same.id,
                    same.text,
                    (*same.answers, *question.answers),
                    (*same.quotes, *question.quotes),
                    (*same.articles, *question.articles),
                    same.answerable or question.answerable,
                )
            found[question.id] = question
    else:
        for where, record in records(path):
            question = _question(record, where)
            _put_once(found, question.id, question, where)
    if not found:
        raise BadSource(f"{path.absolute()} holds no question")
    return found


def _question(record: Mapping[str, Any], where: str) -> Question:
    text = record.get("question")
    if not isinstance(text, str) or not text.strip():
        raise BadSource(f'{where}: a question needs "question"')
    try:
        quotes = tuple(Quote(str(e["text"]), str(e.get("doc_id") or "")) for e in record.get("evidence") or ())
        answers = tuple(str(a) for a in record.get("answers") or ())
        articles = tuple(str(a) for a in record.get("doc_ids") or ())
    except (TypeError, KeyError, AttributeError) as e:
        raise BadSource(
            f'{where}: "evidence" is a list of {{"doc_id", "text"}}, "answers" and "doc_ids" are lists of text'
        ) from e
    known = bool(quotes or articles)
    id = str(record.get("id") or _made_id(text))
    return Question(id, text, answers, quotes, articles, bool(record.get("answerable", known)))


def _table(path: Path) -> Iterator[Question]:
    rows = _rows(path, ",")
    names = [n.strip().lower() for n in next(rows, [])]
    if "question" not in names:
        raise BadSource(f"{path.absolute()}:1: no column is called question: see docs/evaluate.md")
    if unknown := set(names) - {"id", "question", "quote", "article", "answer", ""}:
        raise BadSource(
            f"{path.absolute()}:1: column {sorted(unknown)[0]!r} is unknown: use id, question, quote, article, answer"
        )
    for n, row in enumerate(rows, 2):
        given = {name: value.strip() for name, value in zip(names, row, strict=False)}
        if not any(given.values()):
            continue
        if not given["question"]:
            raise BadSource(f"{path.absolute()}:{n}: the question is empty")
        quote, article = given.get("quote", ""), given.get("article", "")
        yield Question(
            given.get("id") or _made_id(given["question"]),
            given["question"],
            (given["answer"],) if given.get("answer") else (),
            (Quote(quote, article),) if quote else (),
            (article,) if article else (),
            bool(quote or article),
        )


def _from_questions(questions: Iterable[Question]) -> Judgments:
    """Return what questions say of articles: those that they name are relevant."""
    found: Judgments = {}
    for q in questions:
        named = {*q.articles, *(quote.article for quote in q.quotes if quote.article)}
        if q.answerable and named:
            found[q.id] = dict.fromkeys(sorted(named), 1)
    return found


def _rows(path: Path, between: str) -> Iterator[list[str]]:
    lines = io.StringIO(text_of(path), newline="")
    if between == "\t":
        rows = csv.reader(lines, delimiter=between, quoting=csv.QUOTE_NONE)
    else:
        rows = csv.reader(lines, delimiter=between)
    try:
        yield from rows
    except csv.Error as e:
        raise BadSource(f"{path.absolute()}:{rows.line_num} is no row of a table ({e}): mend it there") from e


def _put_once(found: dict[str, Any], id: str, value: object, where: str) -> None:
    if id in found:
        raise BadSource(f"{where}: {id!r} stands there twice: give each its own id")
    found[id] = value


def _made_id(text: str) -> str:
    return "q" + hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:10]


def _plain(q: Question) -> list[Any]:
    return [q.id, q.text, q.answers, [[e.text, e.article] for e in q.quotes], q.articles, q.answerable]


def _files(path: Path | None) -> list[Path]:
    if path is None:
        return []
    return [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
