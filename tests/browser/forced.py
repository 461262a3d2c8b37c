"""An engine that says what a test needs it to say, when the test wants it said.

Forced input: nothing is searched and no model runs.  The articles hold everything that a page could
mistake for its own code, and the answers are chosen by a word of the question.  It shows how the page
treats what an engine may send; it says nothing about how well any engine answers.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date

from rag.errors import InvalidQuestion, UnknownArticle
from rag.types import (
    Answer,
    Article,
    ArticleHead,
    Citation,
    Filter,
    Fingerprint,
    Hit,
    Outcome,
    Passage,
    Sentence,
    Stats,
    Support,
    Text,
    Verdict,
    VerdictName,
)

PATIENCE = 60.0

EXAMPLES = ("How did the harbour keep its lights burning?", "nothing about the moon <b>?</b>")
"""Questions to start from."""

HOSTILE_QUOTE = "the 🦊 said `${alert(1)}` and {{7*7}} \\n <b>aloud</b>"
HOSTILE = Article(
    id="notes/hostile#1",
    title="Fox & <i>Friends</i> ${alert(2)} {{7*7}}",
    authors=("Ada <script>alert(3)</script>", "עדה"),
    published=date(2024, 2, 29),
    url="javascript:alert(4)",
    text=(
        "😀😀 Opening words with emoji 👩‍👩‍👧 before the span.\n\n"
        '<img src="http://outside.invalid/x.png" onerror="alert(5)"> and ![p](http://outside.invalid/y.png)\n\n'
        + "\n".join(f"Filler line {i} 𝒳 so that the words lie far below." for i in range(120))
        + f"\n\nשלום עולם \u202e reversed \u202c then {HOSTILE_QUOTE}, and [2] is only text.\n\n"
        + "مرحبا بالعالم ${alert(6)} {{{7*7}}} </div><script>alert(7)</script>\n"
        + "\n".join(f"Closing line {i}." for i in range(60))
    ),
)
HARBOUR = Article(
    id="harbour-lights",
    title="How the harbour of Ostrava Bay learned to see at night",
    authors=("Mirela Osei", "Tomas Lindqvist"),
    published=date(2023, 11, 8),
    url="https://example.org/harbour-lights",
    text=(
        "For two hundred years the pilots of Ostrava Bay steered by a single oil lamp on the north mole. "
        "In fog it was worth nothing, and the parish books count the wrecks.\n\n"
        "The first change came in 1911, when the town council bought two lenses from a bankrupt lighthouse board. "
        "One was set on the north mole and one on Gull Rock, so that a pilot who kept the lights in line "
        "held the deep channel.\n\n"
        "The second change was quieter. In 1934 the harbour master, Ines Calloway, had the lamps put on separate "
        "circuits, each with its own battery. When the storm of that winter cut the mains, both lights burned "
        "through the night.\n\n"
        "Today the lights are kept by volunteers. They say that the old lenses need cleaning every nine days, "
        "and that nobody has found a better way to do it than vinegar and a linen cloth.\n\n"
        "A proposal to replace the lenses with diodes was voted down twice, most recently in 2019."
    ),
)
TRADE = Article(
    id="pilots",
    title="The pilots' trade",
    authors=("Jun Abara",),
    published=date(2021, 5, 30),
    text=(
        "A pilot's licence for the bay takes four years. The last examination is held at night without instruments.\n\n"
        "The guild counts nineteen pilots, seven of them women. Its records say that the lights were on one circuit "
        "until 1936, two years later than the harbour's own account."
    ),
)
ARABIC = Article(
    id="bridge-ar",
    title="جسر كيلدا وما قيل عنه في مجلس الجزيرة (1911)",
    authors=("سلمى حداد", "Bo Vane"),
    published=date(2021, 3, 1),
    url="https://example.org/bridge-ar",
    text=(
        "بُني جسر كيلدا عام 1911 على يد الأخوين فين، وكانا قد جاءا من البر بقاربين وعربة من الحديد.\n\n"
        "In English the council wrote only one line about it.\n\n"
        + "\n\n".join(f"وفي العام {1911 + n} هطل المطر على الجسر أربعين يومًا (وفقًا لدفتر Kilda)." for n in range(30))
    ),
)
PRINTED_AGAIN = (
    ArticleHead("x1", "Lights of <b>Ostrava</b> Bay ${alert(10)}", source="The Gull <img src=x onerror=alert(11)>"),
    ArticleHead("x2", "אורות הנמל", published=date(2023, 11, 9)),
    *(ArticleHead(f"x{n}", f"Harbour {n}") for n in (3, 4, 5)),
)
"""Articles that print what the harbour's does; there is no more of them than this."""
ARTICLES = {a.id: a for a in (HOSTILE, HARBOUR, TRADE, ARABIC)}


def cite(number: int, article: Article, quote: str, verdict: VerdictName = "supported") -> Citation:
    """Return a citation of these words, which must stand in the article."""
    start = article.text.index(quote)
    return Citation(
        number, article.head, article.id, article.revision, start, start + len(quote), quote, Verdict(verdict, 0.9)
    )


def hit(rank: int, article: Article, quote: str) -> Hit:
    """Return a hit on these words, which must stand in the article."""
    start = article.text.index(quote)
    passage = Passage(article.id, article.revision, start, start + len(quote), "", quote)
    return Hit(rank, 1 / rank, {"forced": rank}, passage, article.head)


Said = tuple[str, tuple[Citation, ...]]


class ForcedEngine:
    """Streams sentences chosen by a word of the question.

    - "hostile": a citation of the hostile article;
    - "silent": nothing is said until `gate` is set;
    - "endless": words that come until the stream is left, or patience ends;
    - "gate": the second sentence waits until `gate` is set;
    - "nothing": abstains; "fail": an error of ours; "crash": a programming error;
    - "roles": words of each role first, and a question put otherwise;
    - "جسر": a citation of the Arabic article;
    - anything else: the harbour, and with "repeat" the question is said again first.

    `histories` and `wheres` hold what each question was given, `left` those whose stream was left before its end.
    """

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.histories: dict[str, list[Mapping[str, str]]] = {}
        self.wheres: dict[str, Filter | None] = {}
        self.left: list[str] = []

    def stream(
        self, question: str, *, history: Sequence[Mapping[str, str]] = (), where: Filter | None = None
    ) -> Iterator[Text | Citation | Answer]:
        """Yield the sentences word by word, each followed by its citations, then the answer."""
        self.histories[question], self.wheres[question] = list(history), where
        if "fail" in question:
            raise InvalidQuestion("question of 9000 characters is too long: ask in fewer than 2000 <b>characters</b>")
        if "crash" in question:
            raise ZeroDivisionError("on purpose")
        try:
            if "silent" in question:
                self.gate.wait(PATIENCE)
            if "endless" in question:
                end = time.monotonic() + PATIENCE
                while time.monotonic() < end:
                    yield Text("on and ")
                    time.sleep(0.02)
            if "roles" in question:
                yield from (
                    Text("In "),
                    Text("1934", "strong"),
                    Text(" [in <b>“Harbour”</b>]", "added"),
                    Text(", so. "),
                )
            outcome, said, hits = script(question)
            for i, (sentence, citations) in enumerate(said):
                if i and "gate" in question:
                    self.gate.wait(PATIENCE)
                for word in sentence.split(" "):
                    yield Text(word + " ")
                yield from citations
                yield Text(" ")
        except GeneratorExit:
            self.left.append(question)
            raise
        answer = whole(question, outcome, said, hits)
        yield replace(answer, standalone=f"{question} (<i>Harbour</i>)") if "roles" in question else answer

    def article(self, id: str, revision: str | None = None) -> Article:
        """Return an article by id and revision."""
        article = ARTICLES.get(id)
        if article is None or revision not in (None, article.revision):
            raise UnknownArticle(f"article {id!r} is not in the index in revision {revision}: ingest it again")
        return article

    def current(self, id: str) -> str | None:
        """Return the revision of an article."""
        return ARTICLES[id].revision if id in ARTICLES else None

    def articles(self, where: Filter | None = None) -> list[tuple[ArticleHead, int]]:
        """Return the articles, of one passage each; of a filter only the authors are looked at."""
        wanted = set(where.authors) if where else set()
        listed = sorted(ARTICLES.values(), key=lambda a: a.id)
        return [(a.head, 1) for a in listed if not wanted or not wanted.isdisjoint(a.authors)]

    def cut(self, id: str) -> tuple[Article, list[Passage]]:
        """Return the article, and itself as one passage."""
        a = self.article(id)
        return a, [Passage(a.id, a.revision, 0, len(a.text), "<b>SECTION</b>", a.text)]

    def sections(self) -> list[str]:
        """Return a section that no page should take for its own code."""
        return ["<b>SECTION</b>"]

    def stats(self) -> Stats:
        """Return made-up counts."""
        return Stats(3, 1204, 1, 0, 1, 4096, Fingerprint("forced", "0", 1, 256, 200, 0))


def script(question: str) -> tuple[Outcome, list[Said], tuple[Hit, ...]]:
    """Return what is said to a question."""
    if "hostile" in question:
        return (
            "answered",
            [
                ("It says so <b>here</b> ${alert(8)}.", (cite(1, HOSTILE, HOSTILE_QUOTE),)),
                ("And once more.", (cite(2, HARBOUR, "In fog it was worth nothing"), cite(1, HOSTILE, HOSTILE_QUOTE))),
            ],
            (),
        )
    if "جسر" in question:
        words = "بُني جسر كيلدا عام 1911 على يد الأخوين فين"
        return (
            "answered",
            [(f"{words}، وكانا قد جاءا من البر بقاربين.", (cite(1, ARABIC, words),))],
            (hit(1, ARABIC, words),),
        )
    if "nothing" in question:
        refusal = "The articles do not say. What comes nearest is below."
        hits = (
            replace(hit(1, HARBOUR, HARBOUR.text.rpartition("\n")[2]), also=PRINTED_AGAIN[2:4]),
            hit(2, TRADE, "A pilot's licence for the bay takes four years."),
        )
        return "abstained", [(refusal, ())], hits
    first = cite(1, HARBOUR, "In 1934 the harbour master, Ines Calloway, had the lamps put on separate circuits")
    second = cite(2, HARBOUR, "both lights burned through the night")
    first = replace(first, also=PRINTED_AGAIN)
    third = cite(3, TRADE, "the lights were on one circuit until 1936", "partial")
    said: list[Said] = [
        (f"You asked: {question}", ()),
        ("In 1934 the harbour master had the lamps put on separate circuits, each with its own battery.", (first,)),
        ("When a storm cut the mains that winter, both lights burned through the night.", (second, first)),
        ("The pilots' guild dates the change two years later.", (third,)),
    ]
    return ("conflict" if "conflict" in question else "answered"), said if "repeat" in question else said[1:], ()


def whole(question: str, outcome: Outcome, said: Sequence[Said], hits: tuple[Hit, ...]) -> Answer:
    """Return the answer that the stream amounts to."""
    sentences = tuple(
        Sentence(
            text,
            tuple(c.number for c in citations),
            tuple(Support(c.number, c.support.verdict, c.support.score) for c in citations),
        )
        for text, citations in said
    )
    marked = " ".join(" ".join([text, *(f"[{c.number}]" for c in citations)]) for text, citations in said)
    cited = {c.number: c for _, citations in said for c in citations}
    return Answer(question, question, marked, sentences, tuple(cited.values()), hits, outcome, 0.9)
