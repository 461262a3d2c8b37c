"""Which articles are one, and how search shows them."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
from contracts import EMBEDDER, put
from fakes import FINGERPRINT
from hypothesis import given
from hypothesis import strategies as st

from rag.evaluation.quotes import Place
from rag.evaluation.retrieval import passages_of, ranking
from rag.faces import show
from rag.folding import Printed
from rag.intake.difference import difference
from rag.intake.signature import BANDS, signature
from rag.intake.tokens import tokens
from rag.intake.twins import same
from rag.protocols import Retriever, View
from rag.retrieve import Dense, Fused, Lexical, search
from rag.store import twins as stored
from rag.store.local import LocalStore
from rag.to_json import to_dict
from rag.types import Answer, Article, ArticleHead, Citation, Filter, Group, Hit, Passage, Section, Verdict

WORDS = (
    "the council said that it would open a new library near the old harbour because many readers had asked for one and "
    "the builders who know the place well were ready to begin as soon as rain allows while neighbours hope for quiet"
).split()


def story(seed: int = 0, count: int = 300) -> str:
    """Return a text of sentences in paragraphs, with names and figures here and there."""
    draw = random.Random(seed)
    out: list[str] = []
    while len(out) < count:
        sentence = draw.choices(WORDS, k=draw.randint(8, 16))
        sentence.insert(
            draw.randrange(1, 8), draw.choice(("Mira Castellan", "Oslo", "Bo Li", f"{draw.randrange(2, 99)}"))
        )
        sentence[-1] += ".\n\n" if draw.random() < 0.2 else "."
        out += [sentence[0].capitalize(), *sentence[1:]]
    return " ".join(out).strip()


NEWS = """\
Councillors in Eastmere met on Monday for the last time before the summer, and the public benches were full.

The council approved the plan for a tunnel below the harbour after a debate that went on until midnight. Residents say \
that they would accept the offer of the port. Police arrested a man near the station, and a woman was found unhurt.

The library is able to open on Saturdays, the mayor told reporters, as few readers had asked for anything else. Work \
on the tunnel starts before the school does. It costs $5 million, or 12% of what the town spends, and nobody pays twice.

Doctors advise patients to take one tablet in the morning and one after supper; it may cause headache and nausea."""
"""A report whose every sentence can be turned by a word."""

TURNED = (
    ("approved the plan", "rejected the plan"),
    ("would accept", "would not accept"),
    ("would accept", "would never accept"),
    ("would accept", "wouldn't accept"),
    ("would accept", "would hardly accept"),
    ("is able", "is unable"),
    ("is able", "is not able"),
    ("nobody pays", "everybody pays"),
    ("below the harbour", "below the airport"),
    ("a man near the station, and a woman was", "a woman near the station, and a man was"),
    ("in the morning and one after supper", "in the evening and one after supper"),
    ("in the morning and one after supper", "at noon and one before supper"),
    ("headache and nausea", "dizziness and nausea"),
    ("headache and nausea", "headache or nausea"),
    ("headache and nausea", "headache"),
    ("after a debate", "without a debate"),
    ("starts before", "starts after"),
    ("and a woman was found unhurt", "and she was found unhurt"),
    ("as few readers", "as a few readers"),
    ("$5 million", "£5 million"),
    ("12% of", "12 of"),
    ("until midnight. ", "until midnight. It failed. "),
    ("unhurt.", "unhurt, but dead to the world."),
    ("nausea.", "nausea only if it is taken with wine or on an empty stomach."),
    ("The library is able", "Nobody believes that the library is able"),
    ("Residents say that they", "They"),
)
"""What it says, and something else."""

STYLED = (
    ("harbour", "harbor"),
    ("would accept", "would  ACCEPT"),
    ("on Monday", "Monday"),
    ("say that they", "say they"),
    ("one tablet", "1 tablet"),
    ("12%", "12 per cent"),
    ("12%", "12 percent"),
    ("the public benches", "public benches"),
    ("midnight. Residents", "midnight.\n\nResidents"),
    ("supper; it", "supper – it"),
    ("headache", "head-ache"),
)
"""What it says, as another desk has it."""


def linked(one: str, two: str) -> bool:
    """Say whether an index would link two texts."""
    return bool(set(signature(one)) & set(signature(two))) and same(one, two)


class TestSignature:
    def test_is_the_same_for_good(self) -> None:
        """Stored signatures are compared with those of any later version: these numbers may never change."""
        assert signature("The quick brown fox jumps over the lazy dog.")[:4] == PINNED[0]
        assert signature("今天天气很好，我们去公园。 Łódź’s “1,200” cafés")[:4] == PINNED[1]

    def test_of_no_words_is_empty(self) -> None:
        assert signature("") == signature(" — !\n") == ()
        assert not same("", "")
        assert not same("—", "!")

    @given(st.text(max_size=400))
    def test_keys_fit_their_column_whatever_the_text(self, text: str) -> None:
        keys = signature(text)
        assert len(keys) in (0, 2 * BANDS)
        assert all(-(2**31) <= k < 2**31 for k in keys)

    def test_takes_time_in_proportion_to_the_text(self) -> None:
        assert len(signature(story(1, 1_000) * 300)) == 2 * BANDS


@given(st.text(max_size=300))
def test_words_as_written_and_as_compared_go_together(text: str) -> None:
    found = tokens(text)
    assert len(found.written) == len(found.folded)
    assert all(w and not w.isspace() for w in found.folded)


@given(st.lists(st.sampled_from("abcdefgh"), max_size=60), st.lists(st.sampled_from("abcdefgh"), max_size=60))
def test_a_difference_tells_every_word_once(one: list[str], two: list[str]) -> None:
    found = difference(one, two)
    left = [one[g.a : g.b] for g in found.gaps], [two[g.c : g.d] for g in found.gaps]
    assert found.shared == len(one) - sum(map(len, left[0])) == len(two) - sum(map(len, left[1]))
    a = c = 0
    for gap in [*found.gaps]:
        assert one[a : gap.a] == two[c : gap.c]
        a, c = gap.b, gap.d
    assert one[a:] == two[c:]


class TestTwins:
    @pytest.mark.parametrize("seed", range(5))
    def test_a_story_printed_again_is_linked(self, seed: int) -> None:
        text = story(seed)
        paragraphs = text.split("\n\n")
        middle = len(paragraphs) // 2
        more = "Support this newsroom by becoming a member and get the best of the week in your inbox every Friday."
        for again in (
            text.upper(),
            text.replace("'", "’").replace("\n\n", "\r\n").replace(". ", ".  "),
            f"By Ann Roe\n\nLONDON, March 3 (Reuters) - {text}\n\n(Reporting by Ann Roe; editing by Cy Poe)",
            text[: int(0.6 * len(text))],
            "\n\n".join([*paragraphs[:middle], more, *paragraphs[middle:]]),
            text.replace("harbour", "harbor").replace("neighbours", "neighbors").replace(" the ", " "),
        ):
            assert linked(text, again)
            assert same(again, text)

    def test_diacritics_and_spelt_numbers(self) -> None:
        text = story(7).replace("Mira", "Łucja").replace("library", "bibliothèque") + " It took 5 days and 1,200 hands."
        assert linked(text, text.replace("Ł", "L").replace("è", "e").replace("5 days", "five days").replace(",2", "2"))

    @pytest.mark.parametrize("seed", range(5))
    def test_an_article_that_says_something_else_is_not(self, seed: int) -> None:
        text, other = story(seed), story(seed + 100)
        figure = next(w for w in text.split() if w.isdigit())
        half = len(text) // 2
        for another in (
            text.replace(figure, str(int(figure) + 1), 1),
            text.replace("Mira Castellan", "Jo Okonkwo"),
            text.replace("Oslo", "Turin", 1),
            text[:half] + other[half:],
            other[:half] + text[half:],
            other[: half // 2] + "\n\n" + text,
            " ".join(text.split()[:45]),
            " ".join(text.split()[:120]),
            other,
        ):
            assert not same(text, another)
            assert not same(another, text)

    @pytest.mark.parametrize(("said", "instead"), TURNED)
    def test_a_word_that_turns_a_sentence_makes_another_article(self, said: str, instead: str) -> None:
        assert said in NEWS
        for text in (NEWS, f"{story(1)}\n\n{NEWS}", f"{NEWS}\n\n{story(2, 600)}"):
            assert not same(text, text.replace(said, instead))
            assert not same(text.replace(said, instead), text)

    @pytest.mark.parametrize(("said", "instead"), STYLED)
    def test_another_desks_style_does_not(self, said: str, instead: str) -> None:
        assert said in NEWS
        assert linked(NEWS, NEWS.replace(said, instead))
        assert linked(NEWS.replace(said, instead), NEWS)

    def test_sentences_more_or_less_do_not(self) -> None:
        long = f"{NEWS}\n\n{story(1)}"
        more = "The port, which owns the quay, had asked for a decision before the holidays began."
        for again in (
            long.replace("\n\nThe library", f"\n\n{more}\n\nThe library"),
            long.replace("midnight. ", f"midnight. {more} "),
            long.replace("\n\nThe library", "\n\nOpening hours\n\nThe library"),
            long.replace("Police arrested a man near the station, and a woman was found unhurt.", ""),
            f"{more}\n\n{long}\n\nIt rained.",
            f"Reuters\n\nEASTMERE (Reuters) - {long}\n\n© 2024 The Gull.",
            f"EASTMERE, June 3 (AP) — (CNN) {long} {more}",
            long[: int(0.7 * len(long))],
            long[: int(0.7 * len(long))] + "…",
        ):
            assert linked(long, again)
            assert linked(again, long)

    def test_capitals_before_a_dash_are_a_place_or_a_verdict(self) -> None:
        assert linked(f"EASTMERE — {NEWS}", NEWS)
        assert linked(f"EASTMERE — {NEWS}", f"EASTMERE, June 3 (Reuters) - {NEWS}")
        assert linked(f"EASTMERE — {NEWS}", f"OSLO (AP) — EASTMERE — {NEWS}")
        assert not same(f"GUILTY — {NEWS}", f"NOT GUILTY — {NEWS}")
        assert not Printed(f"GUILTY — {NEWS}").says(Printed(f"NOT GUILTY — {NEWS}"), 0, 100)
        assert Printed(NEWS).says(Printed(f"EASTMERE — {NEWS}"), 0, 100)

    def test_a_sentence_turned_and_moved_makes_another_article(self) -> None:
        long = f"{NEWS}\n\n{story(1)}"
        said = "Residents say that they would accept the offer of the port. "
        assert not same(long, long.replace(said, "") + " " + said.replace("would", "would not"))

    @pytest.mark.parametrize("seed", range(30))
    def test_any_other_word_makes_another_article(self, seed: int) -> None:
        draw, light = random.Random(seed), ("a", "the", "that")
        words = story(seed).split(" ")
        n = draw.choice([n for n, w in enumerate(words) if w.isalpha() and w.lower() not in light])
        other = draw.choice([w for w in WORDS if w not in (*light, words[n].lower())])
        text = " ".join(words)
        for changed in ([other], [words[n], other], [other, words[n]], []):
            again = " ".join([*words[:n], *changed, *words[n + 1 :]])
            # Two words in a row may be the same two.
            assert not same(text, again) or tokens(text).folded == tokens(again).folded

    def test_a_figure_put_in_is_news_and_a_sentence_with_one_is_not(self) -> None:
        text = story(3)
        at = text.index(" the ", 600)
        assert not same(text, f"{text[:at]} 14 of{text[at:]}")
        at = text.index(". ", 600) + 2
        assert same(text, f"{text[:at]}It was the last of 14 such plans that came to the table this year. {text[at:]}")

    def test_short_texts_are_twins_only_when_equal(self) -> None:
        line = "Trains between the harbour and the old town will not run on Sunday night because of works."
        assert linked(line, line.upper().replace(".", "!"))
        assert not same(line, line.replace("Sunday", "Monday"))
        assert not same(line, line.replace("works", "the works"))

    def test_scripts_without_spaces_and_without_capitals(self) -> None:
        draw = random.Random(1)
        text = "".join(draw.choices("今天气很好我们去公园看花他说明年会来这里建新图书馆因为读者多", k=600))
        assert linked(text, text[:100] + "，" + text[100:400])
        assert not same(text, text[:300] + "王" + text[301:])
        assert not same(text, text[::-1])

    def test_in_small_letters_any_other_word_may_be_a_name(self) -> None:
        text = story(4).lower()
        assert linked(text, text[: int(0.7 * len(text))])
        assert not same(text, text.replace("oslo", "turin"))

    @given(st.integers(0, 10_000), st.integers(0, 10_000))
    def test_is_symmetric(self, one: int, two: int) -> None:
        a, b = story(one % 50, 120), story(two % 50, 120)
        assert same(a, b) == same(b, a)
        assert same(a, a)


class TestStored:
    @pytest.fixture
    def db(self) -> Iterator[sqlite3.Connection]:
        db = sqlite3.connect(":memory:")
        db.execute("CREATE TABLE articles (ord INTEGER PRIMARY KEY, text TEXT NOT NULL, live INTEGER NOT NULL)")
        for statement in stored.TABLES.split(";"):
            db.execute(statement)
        yield db
        db.close()

    def add(self, db: sqlite3.Connection, ord: int, text: str) -> list[int]:
        """Add an article as a transaction does."""
        db.execute("INSERT INTO articles VALUES (?, ?, 1)", (ord, text))
        return stored.link(db, ord, text)

    def test_links_are_mutual_and_go_with_the_article(self, db: sqlite3.Connection) -> None:
        text = story(1)
        assert self.add(db, 1, text) == []
        assert self.add(db, 2, story(2)) == []
        assert self.add(db, 3, "By Ann Roe\n" + text) == [1]
        assert self.add(db, 4, text[: int(0.7 * len(text))]) == [1, 3]
        assert stored.of(db, [1, 2, 3, 4]) == {1: [3, 4], 3: [1, 4], 4: [1, 3]}
        stored.unlink(db, 3, "By Ann Roe\n" + text)
        assert stored.of(db, [1, 2, 3, 4]) == {1: [4], 4: [1]}
        assert db.execute("SELECT COUNT(*) FROM bands WHERE article = 3").fetchone() == (0,)

    def test_a_retired_article_is_no_candidate(self, db: sqlite3.Connection) -> None:
        self.add(db, 1, story(1))
        db.execute("UPDATE articles SET live = 0")
        assert self.add(db, 2, story(1)) == []

    def test_many_copies_are_compared_in_bounded_time(self, db: sqlite3.Connection) -> None:
        for n in range(1, stored.NEWEST + 50):
            found = self.add(db, n, "The page you are looking for is not here any more.")
            assert len(found) == min(n - 1, stored.COMPARED)


# -- search ------------------------------------------------------------------------------------


class WithTwins:
    """A view of a store that is told which articles are twins."""

    def __init__(self, view: View, pairs: Sequence[tuple[str, str]]) -> None:
        self._view = view
        self._pairs = {*pairs, *((b, a) for a, b in pairs)}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._view, name)

    def article(self, id: str, revision: str | None = None) -> Article:
        return self._view.article(id, revision)

    def twins(self, ids: Sequence[str]) -> Mapping[str, tuple[ArticleHead, ...]]:
        return {
            id: tuple(self._view.article(b).head for a, b in sorted(self._pairs) if a == id)
            for id in ids
            if any(a == id for a, _ in self._pairs)
        }


def article(id: str, *paragraphs: str, source: str = "gull") -> Article:
    """Return an article with a section, so a passage, for each paragraph."""
    sections, at = [], 0
    for p in paragraphs:
        sections.append(Section("", at, at + len(p)))
        at += len(p) + 2
    return Article(id=id, title=f"Title {id}", text="\n\n".join(paragraphs), source=source, sections=tuple(sections))


FERRY = "The ferry to the old harbour sinks its fares in May, says Mira Castellan of the port."
BRIDGE = "A bridge beside the ferry opens to walkers who had waited for eleven years."
EXTRA = "Our own reporter asked the ferry captain, who calls the plan of the port a mistake."
OTHER = "Ferry strikes in another town go on while talks with the union break down once more."

OWN = "The mayor disagrees."

ARTICLES = (
    article("a", FERRY, BRIDGE),
    article("b", FERRY, BRIDGE, EXTRA, source="tern"),
    article("c", FERRY + " " + BRIDGE, source="tern"),
    article("d", OTHER, FERRY),
    article("f", f"{FERRY} {OWN}"),
    *(article(f"e{n}", f"Ferry note {n} of the day.", f"Word{n} and harbour{n % 3}.") for n in range(20)),
)
LINKS = (("a", "b"), ("b", "c"), ("c", "a"), ("c", "d"), ("a", "f"))

RETRIEVERS: list[Retriever] = [Dense(EMBEDDER), Lexical(), Fused(EMBEDDER, dense_weight=0.7, depth=10)]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[View]:
    store = LocalStore.create(tmp_path_factory.mktemp("t") / "index", FINGERPRINT)
    with store.writer() as t:
        for a in ARTICLES:
            put(t, a)
    with store.view() as view:
        yield view


@pytest.fixture(scope="module")
def view(plain: View) -> View:
    return cast(View, WithTwins(plain, LINKS))


def names(hits: Sequence[Hit]) -> list[tuple[str, str, str]]:
    """Return (article, first word of the passage, others that print it)."""
    return [(h.article.id, h.passage.text.split()[0], "".join(a.id for a in h.also)) for h in hits]


@pytest.mark.parametrize("retriever", RETRIEVERS, ids=lambda r: type(r).__name__)
class TestFolding:
    def test_what_twins_print_alike_is_one_hit_that_names_the_others(self, view: View, retriever: Retriever) -> None:
        found = search(retriever, view, FERRY, 200)
        ferry = [h for h in found if FERRY in h.passage.text]
        # d prints it too, and is linked with c, but not with the others.
        also = {h.article.id: {a.id for a in h.also} for h in ferry}
        assert also["d"] == {"c"}
        assert also["a"] == {"b", "c", "f"}
        assert "b" not in also
        assert [h.rank for h in found] == list(range(1, len(found) + 1))

    def test_a_passage_that_only_one_twin_has_is_a_hit_of_its_own(self, view: View, retriever: Retriever) -> None:
        found = search(retriever, view, EXTRA, 200)
        assert [(h.article.id, h.also) for h in found if h.passage.text == EXTRA] == [("b", ())]
        assert [(h.article.id, h.also) for h in found if h.passage.text == OTHER] == [("d", ())]
        # Mostly what a prints, and a sentence more.
        assert [(h.article.id, h.also) for h in found if OWN in h.passage.text] == [("f", ())]

    def test_a_filter_finds_the_twin_that_passes_it(self, view: View, retriever: Retriever) -> None:
        found = search(retriever, view, FERRY, 10, Filter(sources=("tern",)))
        assert {h.article.source for h in found} == {"tern"}
        assert "a" in {a.id for h in found for a in h.also}

    @pytest.mark.parametrize("group", ["passage", "article"])
    def test_the_first_hits_are_the_same_however_many_are_wanted(
        self, view: View, retriever: Retriever, group: Group
    ) -> None:
        for question in (FERRY, "ferry harbour port", BRIDGE):
            many = search(retriever, view, question, 200, group=group)
            for k in (1, 2, 3, 5, 8, 13):
                some = search(retriever, view, question, k, group=group)
                assert [(h.passage.id, h.score, h.also) for h in some] == [
                    (h.passage.id, h.score, h.also) for h in many[:k]
                ]

    def test_a_twin_is_not_another_article(self, view: View, retriever: Retriever) -> None:
        found = search(retriever, view, FERRY, 200, group="article")
        shown = [h.article.id for h in found]
        assert len(set(shown)) == len(shown)
        # Linked directly with what is shown above it is not shown; a twin of a twin is.
        assert not {("a", "b"), ("a", "c"), ("b", "c")} & {(x, y) for n, x in enumerate(sorted(shown)) for y in shown}
        assert "d" in shown or "c" in shown

    def test_without_links_nothing_is_folded(self, plain: View, retriever: Retriever) -> None:
        unlinked = cast(View, WithTwins(plain, ()))
        assert search(retriever, unlinked, FERRY, 30) == retriever.search(unlinked, FERRY, 30)


@pytest.fixture(scope="module")
def turned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[View]:
    """Return an index of the report, of it in every wording, and of other notes."""
    store = LocalStore.create(tmp_path_factory.mktemp("t") / "index", FINGERPRINT)
    with store.writer() as t:
        put(t, article("news", *NEWS.split("\n\n")))
        for kind, wordings in (("turned", TURNED), ("styled", STYLED)):
            for n, (said, instead) in enumerate(wordings):
                put(t, article(f"{kind}{n}", *NEWS.replace(said, instead).split("\n\n")))
    with store.view() as view:
        yield view


def paragraph(text: str, said: str) -> str:
    """Return the paragraph of a text that has some words."""
    return next(p for p in text.split("\n\n") if said in p)


LINES = st.sampled_from(
    [
        "By Ann Roe", "LONDON (AP) — The quay is shut.", "Reuters", "Opening hours", "It rained. Nobody came!",
        "– 9 a.m. –", "© 2024 The Gull.", "He said: “We know…” and left", "今天天气很好。我们去公园。",
        "", "Up by 5%, to $12.", "(Reporting by Ann Roe; editing by Cy Poe)", "No, said Mr. Li", "x",
    ]
)  # fmt: skip


@given(st.lists(LINES, max_size=12), st.integers(0, 400), st.integers(0, 400), st.sampled_from(["\n", "\n\n", " "]))
def test_an_article_says_what_it_prints(lines: list[str], start: int, length: int, joint: str) -> None:
    text = joint.join(lines)
    start = min(start, len(text))
    printed = Printed(text)
    assert printed.says(Printed(text), start, min(start + length, len(text)))


@pytest.mark.parametrize("links", ["as stored", "all linked"])
@pytest.mark.parametrize("retriever", RETRIEVERS, ids=lambda r: type(r).__name__)
class TestContradictions:
    """What articles say of one matter is shown of each, even where they are linked by mistake."""

    def shown(self, view: View, retriever: Retriever, question: str, links: str, id: str) -> list[Hit]:
        if links == "all linked":
            view = cast(View, WithTwins(view, (("news", id),)))
        return search(retriever, view, question, 50, Filter(articles=("news", id)))

    @pytest.mark.parametrize(("n", "wording"), list(enumerate(TURNED)))
    def test_both_are_shown(
        self, turned: View, retriever: Retriever, links: str, n: int, wording: tuple[str, str]
    ) -> None:
        said, instead = wording
        one, two = paragraph(NEWS, said), paragraph(NEWS.replace(said, instead), instead)
        found = self.shown(turned, retriever, one, links, f"turned{n}")
        texts = {h.passage.text: h for h in found}
        assert {one, two} <= set(texts)
        # Where the two differ by what one has more, the other may be told of it.
        assert f"turned{n}" not in {a.id for a in texts[one].also}
        assert "news" not in {a.id for a in texts[two].also}

    @pytest.mark.parametrize(("n", "wording"), list(enumerate(STYLED)))
    def test_what_is_said_alike_is_shown_once(
        self, turned: View, retriever: Retriever, links: str, n: int, wording: tuple[str, str]
    ) -> None:
        if links == "as stored":
            assert f"styled{n}" in {a.id for a in turned.twins(["news"])["news"]}
        found = self.shown(turned, retriever, paragraph(NEWS, wording[0]), links, f"styled{n}")
        assert len({h.article.id for h in found if not h.also}) == 0


def test_only_what_says_the_same_is_linked(turned: View) -> None:
    assert {a.id for a in turned.twins(["news"])["news"]} == {f"styled{n}" for n in range(len(STYLED))}


def test_as_many_hits_as_wanted_although_some_were_folded(view: View) -> None:
    found = search(Dense(EMBEDDER), view, FERRY, 10)
    assert len(found) == 10
    every = search(Dense(EMBEDDER), view, FERRY, 1000)
    assert len(every) < sum(len(a.sections) for a in ARTICLES)


def test_also_on_every_face() -> None:
    twin = ArticleHead("b", "The Ferry", source="tern")
    hit = Hit(1, 1.0, {}, Passage("a", "r", 0, 3, "", "abc"), ArticleHead("a", "Ferry"), (twin,))
    assert [a["id"] for a in to_dict(hit)["also"]] == ["b"]
    assert "also in The Ferry (tern)" in show.hits([hit])
    support = Verdict("supported", 1.0)
    cited = Citation(1, hit.article, "a", "r", 0, 3, "abc", support, (twin,))
    assert to_dict(cited)["also"] == to_dict(hit)["also"]
    answer = Answer("q", "q", "Abc. [1]", (), (cited,), (hit,), "answered", 0.9)
    assert "[0:3]\n      also in The Ferry (tern)" in show.sources(answer)
    assert "abc\n    also in The Ferry (tern)" in show.sources(replace(answer, outcome="abstained", citations=()))
    assert to_dict(replace(cited, also=()))["also"] == []
    assert to_dict(Hit(1, 1.0, {}, hit.passage, hit.article))["also"] == []


class TestEvaluation:
    def hit(self, rank: int, id: str, *also: str) -> Hit:
        return Hit(
            rank,
            1 / rank,
            {},
            Passage(id, "r", 0, 3, "", "abc"),
            ArticleHead(id, id),
            tuple(ArticleHead(a, a) for a in also),
        )

    def test_an_article_is_found_where_a_hit_names_it(self) -> None:
        found = [self.hit(1, "x"), self.hit(2, "a", "b", "c"), self.hit(3, "y")]
        assert [id for id, _ in ranking(found, {})] == ["x", "a", "y"]
        assert [id for id, _ in ranking(found, {"b": 1})] == ["x", "b", "y"]
        assert [id for id, _ in ranking(found, {"a": 1, "c": 2, "b": 0})] == ["x", "a", "c", "y"]
        scores = [s for _, s in ranking(found, {"a": 1, "c": 2})]
        assert scores == sorted(set(scores), reverse=True)

    def test_a_quote_of_a_twin_is_shown_by_the_passage_that_has_it(self) -> None:
        class Articles:
            def article(self, id: str) -> Article:
                return Article(id=id, title=id, text="Before. abc after.")

        places = [Place("b", ((8, 11),))]
        (passage,) = passages_of([self.hit(1, "a", "b")], places, cast(Any, Articles()))
        assert (passage.article_id, passage.start, passage.end) == ("b", 8, 11)
        (passage,) = passages_of([self.hit(1, "a", "b")], [Place("a", ((0, 3),)), *places], cast(Any, Articles()))
        assert passage.article_id == "a"


PINNED = ((281009290, -859380284, -1127545179, 1571495240), (1327322534, -1355653811, -1557174356, -814854655))
