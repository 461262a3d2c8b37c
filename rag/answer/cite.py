"""Marks to citations: the only place where one is made.

A writer says which characters of which hit it rests on; here that becomes a numbered quote, taken
from the stored text and nowhere else.  So no writer can forge one, and text that looks like a marker
stays text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from rag.answer.refuse import refusal
from rag.answer.support import Entails, backing
from rag.errors import RagError
from rag.folding import prints
from rag.handover import End, Evidence, Mark, Note, Written
from rag.types import Answer, ArticleHead, Citation, Outcome, Role, Sentence, Support, Text, Verdict

Printing = Callable[[str, str], tuple[ArticleHead, ...]]
"""Which twins of an article, named by its id, print a quote from it."""


class BadMark(RagError):
    """A writer pointed outside what it was given."""


def cite(
    question: str,
    written: Iterable[Written],
    evidence: Evidence,
    outcome: Outcome,
    *,
    printing: Printing = lambda id, quote: (),
    entails: Entails | None = None,
) -> Iterator[Text | Citation | Answer]:
    """Yield text and, right after what it backs, each citation; last the whole answer.

    `question` is as it was asked; evidence is for it standing alone.  Citations are numbered by first
    use, and one number names one span.  What a twin prints alike is not a second source: a mark that only
    repeats a twin's words behind the same sentence is left out.  `entails` is a model that is asked for its reading
    too.  A writer's last word on the outcome holds; where it found no answer, and so wrote nothing, the answer is a
    refusal.  Raises BadMark.
    """
    numbers: dict[tuple[str, str, int, int], Citation] = {}
    marks: dict[int, Mark] = {}
    sentences: list[Sentence] = []
    pieces: list[Text] = []
    cited: list[Citation] = []
    notes: list[str] = []
    for piece in written:
        if isinstance(piece, Note):
            notes.append(piece.text)
            outcome = piece.outcome or outcome
            continue
        if isinstance(piece, End):
            if any(p.text.strip() for p in pieces):
                sentences.append(_sentence(pieces, cited, marks, entails))
                pieces, cited = [], []
            continue
        if isinstance(piece, Text):
            # White space between two marks begins no sentence.
            if cited and piece.text.strip():
                sentences.append(_sentence(pieces, cited, marks, entails))
                pieces, cited = [], []
            pieces.append(piece)
            yield piece
            continue
        if not any(p.text.strip() for p in pieces):
            raise BadMark(f"the writer cited a passage of {piece.hit.article.id!r} for nothing that it wrote")
        span = (piece.hit.passage.article_id, piece.hit.passage.revision, piece.start, piece.end)
        citation = numbers.get(span) or _citation(len(numbers) + 1, piece, evidence, printing)
        if any(_repeats(citation, c) for c in cited):
            continue
        numbers[span] = citation
        marks.setdefault(citation.number, piece)
        if citation.number not in [c.number for c in cited]:
            cited.append(citation)
            yield citation
    if any(p.text.strip() for p in pieces):
        sentences.append(_sentence(pieces, cited, marks, entails))
    if outcome == "abstained" and not sentences:
        yield from abstain(question, evidence, notes)
        return
    yield Answer(
        question=question,
        standalone=evidence.question,
        text=marked(sentences),
        sentences=tuple(sentences),
        citations=tuple(_worst(c, sentences) for c in numbers.values()),
        hits=evidence.hits,
        outcome="partly" if outcome == "abstained" else outcome,
        confidence=round(evidence.confidence, 4),
        notes=tuple(notes),
    )


def abstain(question: str, evidence: Evidence, notes: Sequence[str] = ()) -> Iterator[Text | Citation | Answer]:
    """Yield a refusal that says what is missing, and last the answer that carries the nearest passages."""
    text = refusal(evidence)
    yield Text(text)
    sure = round(evidence.confidence, 4)
    yield Answer(question, evidence.question, text, (), (), evidence.hits, "abstained", sure, notes=tuple(notes))


def marked(sentences: Iterable[Sentence]) -> str:
    """Return the sentences as one text, each followed by its markers.

    >>> marked([Sentence("It has two.", (1, 2), ())])
    'It has two. [1][2]'
    """
    return " ".join(s.text + (" " + "".join(f"[{n}]" for n in s.citations) if s.citations else "") for s in sentences)


def _citation(number: int, mark: Mark, evidence: Evidence, printing: Printing) -> Citation:
    p = mark.hit.passage
    if mark.hit not in evidence.hits:
        raise BadMark(f"the writer cited a passage of {p.article_id!r} that it was not given")
    if not p.start <= mark.start < mark.end <= p.end:
        raise BadMark(f"the writer cited [{mark.start}:{mark.end}], outside the passage {p.id}")
    quote = p.text[mark.start - p.start : mark.end - p.start]
    sure = Verdict("supported", 1.0)
    also = printing(p.article_id, quote)
    return Citation(number, mark.hit.article, p.article_id, p.revision, mark.start, mark.end, quote, sure, also)


def _repeats(citation: Citation, other: Citation) -> bool:
    """Say whether a citation adds nothing to one of a twin."""
    return any(a.id == other.article_id for a in citation.also) and prints(other.quote, citation.quote)


def _sentence(
    pieces: Sequence[Text],
    cited: Sequence[Citation],
    marks: Mapping[int, Mark],
    entails: Entails | None,
) -> Sentence:
    text = "".join(p.text for p in pieces)
    said = text.strip()
    cut = len(text) - len(text.lstrip())
    # What was added to a quote is not for the quote to support.
    claimed = "".join(p.text for p in pieces if p.role != "added").strip() or said
    verdicts = [(c.number, backing(claimed, marks[c.number], entails)) for c in cited]
    return Sentence(
        said,
        tuple(n for n, _ in verdicts),
        tuple(Support(n, v.verdict, v.score) for n, v in verdicts),
        _spans(pieces, "strong", cut, len(said)),
        _spans(pieces, "added", cut, len(said)),
    )


def _spans(pieces: Sequence[Text], role: Role, cut: int, length: int) -> tuple[tuple[int, int], ...]:
    """Return where the pieces of a role stand in their text without the white space around it."""
    found, at = [], -cut
    for p in pieces:
        start, end = max(at, 0), min(at + len(p.text), length)
        if p.role == role and start < end:
            found.append((start, end))
        at += len(p.text)
    return tuple(found)


def _worst(citation: Citation, sentences: Sequence[Sentence]) -> Citation:
    uses = [s for sentence in sentences for s in sentence.support if s.number == citation.number]
    worst = min(uses, key=lambda s: s.score)
    return replace(citation, support=Verdict(worst.verdict, worst.score))
