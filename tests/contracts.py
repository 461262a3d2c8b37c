"""What every Store must do.  A test class of a store inherits these and supplies `make`.

Atomicity against a killed writer is a contract of its own, since not every store is a folder of files.
"""

from __future__ import annotations

import itertools
import os
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import numpy as np
import pytest
from fakes import FINGERPRINT, HashEmbedder, key

from rag.errors import IndexLocked, StoreError, UnknownArticle
from rag.handover import NewPassage
from rag.intake.sections import canonical
from rag.protocols import Store, View
from rag.types import Article, Filter, Section

EMBEDDER = HashEmbedder()

ROUNDED = 1e-3
"""Scores may differ by as much where vectors are kept as halves."""


def article(n: int, version: int = 0, **fields: Any) -> Article:
    """Return a small article of two sections."""
    text = f"Alpha word{n} says version{version} of the Gökdoğan story.\n\nBeta group{n % 7} and more about Straße {n}."
    half = text.index("\n\n")
    known = {
        "authors": (f"Ann Ö. {n % 3}",),
        "published": date(2024, n % 12 + 1, 1) if n % 5 else None,
        "source": f"s{n % 2}",
        "sections": (Section("LEAD", 0, half), Section("BACKGROUND", half + 2, len(text))),
    }
    return Article(id=f"a{n:05}", title=f"Title {n}", text=text, **{**known, **fields})


def passages(a: Article) -> list[NewPassage]:
    """Return a passage a section."""
    return [NewPassage(s.start, s.end, s.name, key(a.text[s.start : s.end])) for s in a.sections]


def put(transaction: Any, a: Article) -> None:
    """Add an article with its vectors."""
    new = passages(a)
    texts = [a.text[p.start : p.end] for p in new]
    transaction.remember([p.key for p in new], np.concatenate(list(EMBEDDER.passages(texts))))
    transaction.add(a, new)


def matches(a: Article, section: str, where: Filter) -> bool:
    """Say what the filter means, in the plainest way."""
    fold = {"Ann Ö. 0": "ann o. 0", "Ann Ö. 1": "ann o. 1", "Ann Ö. 2": "ann o. 2"}
    if where.authors and not {fold[n] for n in a.authors} & {n.lower().replace("ö", "o") for n in where.authors}:
        return False
    if (where.since or where.until) and a.published is None:
        return False
    if where.since and a.published and a.published < where.since:
        return False
    if where.until and a.published and a.published > where.until:
        return False
    if where.sections and section not in {"BACKGROUND" for s in where.sections}:
        return False
    if where.sources and a.source not in where.sources:
        return False
    return not where.articles or a.id in where.articles


def brute(kept: dict[str, Article], query: str, where: Filter) -> list[tuple[str, float]]:
    """Return (passage id, score) of every match, best first, by plain numpy."""
    vector = EMBEDDER.query(query)
    found = []
    for a in kept.values():
        own = {p: EMBEDDER.query(a.text[p.start : p.end]) for p in passages(a)}
        mean = sum(own.values()) / len(own)
        for p in passages(a):
            if matches(a, p.section, where):
                near, around = float(own[p] @ vector), float(mean @ vector) / np.linalg.norm(mean)
                score = (1 - FINGERPRINT.context) * near + FINGERPRINT.context * around
                found.append((f"{a.id}@{a.revision}:{p.start}-{p.end}", score))
    return sorted(found, key=lambda f: (-round(f[1], 4), f[0]))


def check_dense(store: Store, kept: dict[str, Article], query: str, k: int, where: Filter) -> None:
    """Assert that a dense search gives what brute force gives, at the same scores."""
    want = brute(kept, query, where)
    with store.view() as view:
        got = view.dense(EMBEDDER.query(query), k, where)
        _, among_many = view.dense_many(EMBEDDER.queries(["something else", query]), k, where)
        np.testing.assert_array_equal(among_many.rows, got.rows)
        np.testing.assert_array_equal(among_many.scores, got.scores)
        ids = [p.id for p, _ in view.passages(got.rows.tolist())]
        for p, head in view.passages(got.rows.tolist()):
            assert kept[head.id].text[p.start : p.end] == p.text
    assert min(k, len(want)) <= len(ids)
    assert set(ids) <= {id for id, _ in want}
    np.testing.assert_allclose(got.scores[:k], [s for _, s in want[:k]], atol=ROUNDED)
    clear = {id for id, s in want if len(want) <= k or s > want[k - 1][1] + 2 * ROUNDED}
    assert clear <= set(ids)


FILTERS = [
    Filter(),
    Filter(authors=("ann o. 1",)),
    Filter(since=date(2024, 3, 1), until=date(2024, 5, 31)),
    Filter(sections=("bckground:",), sources=("s1",)),
    Filter(articles=("a00007", "nothing")),
    Filter(authors=("nobody",)),
]


HOSTILE = (
    "it's",
    'say "x"',
    "back\\slash",
    "100% _",
    "a\tb\nc",
    "]) or ord > 0 or (ord in [",
    "ß İ 🎈 \u2028",
    "x" * 70_000,
)
"""Names that an expression, a pattern or a field might not survive."""

LONG = " ".join(f"word{n} 日本語 🎈" for n in range(20_000))
"""More than a field of 65,535 bytes takes, of characters of one to four bytes."""


def whole_article(id: str, text: str, **fields: Any) -> Article:
    """Return an article that is one passage of no section."""
    return Article(id=id, title="Title", text=text, sections=(Section("", 0, len(text)),), **fields)


def found(view: View, where: Filter) -> set[str]:
    """Return the ids of the articles that pass a filter, asked for in each way there is."""
    rows = view.dense(EMBEDDER.query("x"), 1_000, where).rows.tolist()
    ids = {head.id for _, head in view.passages(rows)}
    assert ids == {head.id for head, _ in view.articles(where)}
    return ids


def consistent(store: Store, *, words: bool = True) -> int:
    """Assert that one view is of one version in every part, and return that version; 0 for an empty index."""
    with store.view() as view:
        listed = [head.id for head, _ in view.articles()]
        if not listed:
            return 0
        assert listed == [f"a{n:05}" for n in range(8) if n != 3]
        seen = view.passages(view.dense(EMBEDDER.query("alpha"), 100).rows.tolist())
        assert len(seen) == 14
        versions = {p.text.split("version")[1].split()[0] for p, _ in seen if "version" in p.text}
        assert len(versions) == 1
        (version,) = versions
        assert not words or len(view.lexical(f"version{version}", 100).rows) == 7
        assert not words or len(view.lexical("alpha", 100).rows) == 7
        return int(version)


class StoreContract:
    """Behaviour common to all stores."""

    words = True
    """Whether this store can search by words and filter by phrases: an old server of one may not."""

    many = 1_000
    """Articles among which few are looked for."""

    steps = 40
    """Random changes."""

    @pytest.fixture
    def make(self, tmp_path: Any) -> Callable[[], Store]:
        """Return a function that opens the same store, made empty first."""
        raise AssertionError("a contract test needs a `make` fixture")

    def test_what_was_added_is_found_after_reopening(self, make: Callable[[], Store]) -> None:
        kept = {a.id: a for a in map(article, range(30))}
        with make().writer() as t:
            for a in kept.values():
                put(t, a)
        again = make()
        for where in FILTERS:
            check_dense(again, kept, "word3 version0 story", 5, where)
        with again.view() as view:
            assert view.article("a00003") == kept["a00003"]
            assert [h.id for h, _ in view.articles()] == sorted(kept)
            assert view.sections() == ["BACKGROUND", "LEAD"]
            for a in kept.values():
                cut = [(p.article_id, p.revision, p.start, p.end, p.section, p.text) for p in view.cut(a.id)]
                assert cut == [(a.id, a.revision, s.start, s.end, s.name, a.text[s.start : s.end]) for s in a.sections]
            with pytest.raises(UnknownArticle):
                view.cut("a00099")
            assert view.stats().passages == 60

    def test_sections_are_those_of_current_passages(self, make: Callable[[], Store]) -> None:
        store = make()
        one, other = article(1), article(2, sections=(Section("Method", 0, 10), Section("METHOD", 11, 20)))
        with store.writer() as t:
            put(t, one)
            put(t, other)
        with store.view() as view:
            assert view.sections() == ["BACKGROUND", "LEAD", "METHOD"]
        with store.writer() as t:
            put(t, article(1, version=2, sections=(Section("LEAD", 0, 20),)))
            t.remove(other.id)
        with store.view() as view:
            assert view.sections() == ["LEAD"]

    def test_a_changed_article_answers_only_as_it_is_now(self, make: Callable[[], Store]) -> None:
        store = make()
        old, new = article(1), article(1, version=9)
        with store.writer() as t:
            put(t, old)
        with store.writer() as t:
            assert t.known(old.id) == old.revision
            put(t, new)
        check_dense(store, {new.id: new}, "word1 version0", 10, Filter())
        with store.view() as view:
            if self.words:
                assert len(view.lexical("version0", 10).rows) == 0
                assert len(view.lexical("version9", 10).rows) == 1
            assert view.article(new.id) == new
            assert view.article(old.id, old.revision).text == old.text

    def test_a_removed_article_is_gone_everywhere(self, make: Callable[[], Store]) -> None:
        store = make()
        with store.writer() as t:
            put(t, article(1))
            put(t, article(2))
        with store.writer() as t:
            t.remove("a00001")
        check_dense(store, {"a00002": article(2)}, "word1", 10, Filter())
        with store.view() as view:
            assert not self.words or len(view.lexical("word1", 10).rows) == 0
            for revision in (None, article(1).revision):
                with pytest.raises(UnknownArticle):
                    view.article("a00001", revision)
        keys = [p.key for p in passages(article(1))]
        with store.writer() as t:
            assert t.cached(keys) == set()
            with pytest.raises(UnknownArticle):
                t.remove("a00001")

    def test_a_vector_that_another_article_uses_stays(self, make: Callable[[], Store]) -> None:
        store = make()
        twin = Article(id="twin", title="Twin", text=article(1).text, sections=article(1).sections)
        with store.writer() as t:
            put(t, article(1))
            put(t, twin)
        with store.writer() as t:
            t.remove("a00001")
            assert len(t.cached([p.key for p in passages(twin)])) == 2
        check_dense(store, {"twin": twin}, "word1", 10, Filter())

    def test_an_exception_leaves_the_state_before(self, make: Callable[[], Store]) -> None:
        store = make()
        with store.writer() as t:
            put(t, article(1))

        def fail() -> None:
            with store.writer() as t:
                put(t, article(2))
                t.remove("a00001")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        check_dense(store, {"a00001": article(1)}, "word2", 10, Filter())
        if self.words:
            with store.view() as view:
                assert len(view.lexical("word2", 10).rows) == 0
                assert len(view.lexical("word1", 10).rows) == 1

    def test_a_change_broken_off_half_way_is_never_committed(
        self, make: Callable[[], Store], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = make()

        # A section that is no text fails after the article before has been retired.
        first, *rest = passages(article(1, version=1))
        broken = [replace(first, section=["no text"]), *rest]  # type: ignore[arg-type]

        def break_off() -> None:
            with store.writer() as t:
                put(t, article(1))
                t.remember([p.key for p in broken], np.zeros((2, EMBEDDER.dim), np.float32))
                with pytest.raises(TypeError):
                    t.add(article(1, version=1), broken)
                assert not t.whole

        with store.writer() as t:
            put(t, article(2))
        with pytest.raises(StoreError, match="half way"):
            break_off()
        check_dense(store, {"a00002": article(2)}, "word1", 10, Filter())

    def test_a_view_does_not_change_while_a_writer_commits(self, make: Callable[[], Store]) -> None:
        store, other = make(), make()
        with store.writer() as t:
            put(t, article(1))
        with other.view() as view:
            before = view.dense(EMBEDDER.query("word1"), 10)
            with store.writer() as t:
                t.remove("a00001")
                put(t, article(2))
            after = view.dense(EMBEDDER.query("word1"), 10)
            assert before.rows.tolist() == after.rows.tolist()
            assert {h.id for _, h in view.passages(after.rows.tolist())} == {"a00001"}
            assert not self.words or len(view.lexical("word1", 10).rows) == 1
        check_dense(other, {"a00002": article(2)}, "word1", 10, Filter())

    def test_rows_are_never_used_again(self, make: Callable[[], Store]) -> None:
        store = make()
        seen: set[int] = set()
        for n in range(5):
            with store.writer() as t:
                put(t, article(n))
            with store.view() as view:
                rows = set(view.dense(EMBEDDER.query("alpha"), 100).rows.tolist())
            assert not rows & seen
            seen |= rows
            with store.writer() as t:
                t.remove(f"a{n:05}")

    def test_a_filter_that_few_passages_pass_finds_them_all(self, make: Callable[[], Store]) -> None:
        store = make()
        kept = {
            a.id: a
            for a in (
                article(n, authors=("Ann Ö. 1",) if n == self.many - 23 else ("Ann Ö. 0",)) for n in range(self.many)
            )
        }
        with store.writer() as t:
            for a in kept.values():
                put(t, a)
        where = Filter(authors=("ANN O. 1",))
        check_dense(store, kept, "word5 version0", 10, where)
        with store.view() as view:
            assert len(view.dense(EMBEDDER.query("word5"), 10, where).rows) == 2
            if self.words:
                found = view.lexical(f"story group4 word{self.many - 23}", 10, where)
                assert {h.id for _, h in view.passages(found.rows.tolist())} == {f"a{self.many - 23:05}"}
                assert len(found.rows) == 2

    def test_case_and_diacritics_do_not_matter_to_words(self, make: Callable[[], Store]) -> None:
        if not self.words:
            pytest.skip("this store cannot search by words")
        store = make()
        with store.writer() as t:
            put(t, article(1))
        with store.view() as view:
            for question in ("gokdogan", "GÖKDOĞAN", "strasse"):
                assert len(view.lexical(question, 10).rows) == 1
            assert len(view.dense(EMBEDDER.query("x"), 10, Filter(phrases=("gokdogan STORY",))).rows) == 1
            assert len(view.dense(EMBEDDER.query("x"), 10, Filter(phrases=("story gokdogan",))).rows) == 0

    def test_a_word_that_is_asked_for_twice_counts_twice(self, make: Callable[[], Store]) -> None:
        if not self.words:
            pytest.skip("there is no search by words")
        store = make()
        with store.writer() as t:
            put(t, article(1))
            put(t, article(2))
        with store.view() as view:
            for question, best in (("word1 word2 word2", "a00002"), ("word1 word2 word1", "a00001")):
                rows = view.lexical(question, 10).rows.tolist()
                assert view.passages(rows)[0][1].id == best

    def test_what_is_kept_is_what_was_added(self, make: Callable[[], Store]) -> None:
        store = make()
        with store.writer() as t:
            for n in range(9):
                put(t, article(n))
        for version in (1, 2, 1):
            with store.writer() as t:
                put(t, article(4, version))
        with store.view() as view:
            kept = view.kept(["a00007", "a00004"])
            assert [k.article for k in kept] == [article(7), article(4, 1)]
            assert [set(k.former) for k in kept] == [set(), {article(4), article(4, 2)}]
            for k in kept:
                assert list(k.passages) == passages(k.article)
                own = [EMBEDDER.query(k.article.text[p.start : p.end]) for p in k.passages]
                np.testing.assert_allclose(k.vectors, own, atol=ROUNDED)
            assert [k.origin for k in kept] == ["", ""]
            with pytest.raises(UnknownArticle):
                view.kept(["a00007", "nothing"])
        with store.writer() as t:
            t.move("a00007", "/here")
        with store.writer() as t:
            t.move("a00007", "/there")
        with store.view() as view:
            assert [k.origin for k in view.kept(["a00007", "a00004"])] == ["/there", ""]

    def test_random_changes_equal_brute_force(self, make: Callable[[], Store]) -> None:
        store, rng = make(), random.Random(7)
        kept: dict[str, Article] = {}
        for step in range(self.steps):
            with store.writer() as t:
                for _ in range(rng.randint(1, 6)):
                    n = rng.randrange(25)
                    a = article(n, version=rng.randrange(4))
                    if a.id in kept and rng.random() < 0.4:
                        t.remove(a.id)
                        del kept[a.id]
                    else:
                        put(t, a)
                        kept[a.id] = a
            if step % 7 == 0:
                store = make()
            query = f"word{rng.randrange(25)} version{rng.randrange(4)} group{rng.randrange(7)}"
            check_dense(store, kept, query, rng.randint(1, 12), rng.choice(FILTERS))
            if not self.words:
                continue
            with store.view() as view:
                found = view.lexical(query, 100)
                for p, head in view.passages(found.rows.tolist()):
                    assert kept[head.id].text[p.start : p.end] == p.text
                assert len(view.lexical("alpha", 1000).rows) == len(kept)

    def test_another_reader_sees_a_commit_and_nothing_before_it(self, make: Callable[[], Store]) -> None:
        store, other = make(), make()
        with store.writer() as t:
            for n in range(3):
                put(t, article(n))
            with other.view() as view:
                assert view.articles() == []
                assert len(view.dense(EMBEDDER.query("word1"), 10).rows) == 0
            t.commit()
            put(t, article(3))
            t.remove("a00001")
            check_dense(other, {a.id: a for a in map(article, range(3))}, "word1", 10, Filter())
        check_dense(other, {a.id: a for a in map(article, (0, 2, 3))}, "word1", 10, Filter())

    def test_a_second_writer_is_refused(self, make: Callable[[], Store]) -> None:
        store, other = make(), make()
        with store.writer():
            with pytest.raises(IndexLocked, match=f"process {os.getpid()}"):
                with other.writer():
                    pass
        with other.writer() as t:
            put(t, article(1))

    def test_an_index_begun_anew_has_nothing_of_the_old_one(self, make: Callable[[], Store]) -> None:
        store = make()
        other = replace(FINGERPRINT, context=0.0)
        with store.writer() as t:
            put(t, article(1))
            put(t, article(2))
        with store.view() as view:
            before = set(view.dense(EMBEDDER.query("x"), 10).rows.tolist())
        with store.writer(other) as t:  # type: ignore[call-arg]
            assert t.known("a00001") is None
            assert t.ids() == set()
            put(t, article(2))
        with make().view() as view:
            assert view.fingerprint == other
            assert [head.id for head, _ in view.articles()] == ["a00002"]
            assert not before & set(view.dense(EMBEDDER.query("x"), 10).rows.tolist())
            with pytest.raises(UnknownArticle):
                view.article("a00001")

    def test_what_is_left_by_an_exception_in_an_index_begun_anew(self, make: Callable[[], Store]) -> None:
        store = make()
        with store.writer() as t:
            put(t, article(1))

        def fail() -> None:
            with store.writer(FINGERPRINT) as t:  # type: ignore[call-arg]
                put(t, article(2))
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        check_dense(store, {"a00001": article(1)}, "word1", 10, Filter())
        with store.writer() as t:
            assert t.ids() == {"a00001"}

    def test_twins_are_told_while_both_are_current(self, make: Callable[[], Store]) -> None:
        store = make()
        text = " ".join(f"Sentence number {n} of a story that two papers print." for n in range(12))
        one, two, three = (whole_article(id, text) for id in ("one", "two", "three"))
        with store.writer() as t:
            put(t, one)
            put(t, two)
            assert t.twinned(["one", "two", "nothing"]) == 2
        with store.writer() as t:
            put(t, three)
            put(t, whole_article("other", "Nothing like it."))
            assert t.twinned(["one", "two", "three", "other"]) == 3
        with store.view() as view:
            told = view.twins(["one", "three", "other", "nothing"])
            assert {id: [head.id for head in heads] for id, heads in told.items()} == {
                "one": ["three", "two"],
                "three": ["one", "two"],
            }
        with store.writer() as t:
            t.remove("one")
            put(t, whole_article("two", "Another story altogether."))
            assert t.twinned(["two", "three"]) == 0
        with store.view() as view:
            assert not view.twins(["two", "three"]).get("three")

    def test_origins_are_known_and_move(self, make: Callable[[], Store]) -> None:
        store = make()
        places = {"a00000": "/x/y/a.md", "a00001": "/x/yy/b.md", "a00002": "/x/y/z/c.md", "a00003": "/x/y%_/d\udcff.md"}
        with store.writer() as t:
            for n, (id, place) in enumerate(places.items()):
                a = article(n)
                t.remember(
                    [p.key for p in passages(a)], EMBEDDER.vectors([a.text[p.start : p.end] for p in passages(a)])
                )
                t.add(a, passages(a), place)
                assert t.origin(id) == place
            assert t.ids("/x/y") == {"a00000", "a00002"}
        with store.writer() as t:
            assert {id: t.origin(id) for id in places} == places
            assert t.ids("/x/y/a.md") == {"a00000"}
            assert t.ids("/x/y%_") == {"a00003"}
            assert t.source("a00001") == "s1"
            t.move("a00000", "/elsewhere/a.md")
            assert t.origin("a00000") == "/elsewhere/a.md"
            assert t.ids("/x/y") == {"a00002"}
            with pytest.raises(UnknownArticle):
                t.origin("nothing")

        def fail() -> None:
            with store.writer() as t:
                t.move("a00002", "/nowhere")
                t.ids()
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        with store.writer() as t:
            assert t.ids("/elsewhere") == {"a00000"}
            assert t.ids("/x/y") == {"a00002"}
            assert t.ids() == set(places)
            t.remove("a00000")
            assert t.ids("/elsewhere") == set()

    def test_a_long_text_comes_back_as_it_was(self, make: Callable[[], Store]) -> None:
        store = make()
        cuts = [*range(0, len(LONG), 9_001), len(LONG)]
        long = Article(
            id="long",
            title="Long",
            text=LONG,
            sections=tuple(Section(f"PART {n}", a, b) for n, (a, b) in enumerate(itertools.pairwise(cuts))),
        )
        empty = Article(id="empty", title="Empty", text="")
        with store.writer() as t:
            put(t, long)
            t.add(empty, [])
        with store.view() as view:
            assert view.article("long") == long
            assert view.article("empty") == empty
            assert [p.text for p in view.cut("long")] == [LONG[s.start : s.end] for s in long.sections]
            assert view.cut("empty") == []
            assert [(head.id, count) for head, count in view.articles()] == [("empty", 0), ("long", len(cuts) - 1)]

    def test_no_name_is_taken_for_anything_but_a_name(self, make: Callable[[], Store]) -> None:
        store, kept = make(), {}
        for n, name in enumerate(HOSTILE):
            id = "".join(name.split())[:20_000]
            a = whole_article(id, f"Text {n}.", authors=(name[:9_000], "Ann"), source=name[:9_000])
            kept[name] = replace(a, sections=(Section(canonical(name[:9_000]), 0, len(a.text)),))
        with store.writer() as t:
            for a in kept.values():
                put(t, a)
            assert t.ids() == {a.id for a in kept.values()}
        with store.view() as view:
            assert found(view, Filter(authors=("ann",))) == {a.id for a in kept.values()}
            for a in kept.values():
                assert view.article(a.id) == a
                assert found(view, Filter(articles=(a.id,))) == {a.id}
                assert found(view, Filter(authors=(a.authors[0],))) == {a.id}
                assert found(view, Filter(sources=(a.source,))) == {a.id}
                assert found(view, Filter(sections=(a.sections[0].name,))) == {a.id}
                assert [p.section for p in view.cut(a.id)] == [a.sections[0].name]
                with pytest.raises(UnknownArticle):
                    view.article(a.id, '" or ord > 0 or id == "')
            for name in ('" or ord > 0 or id == "', "%", "_", "\\", "'"):
                assert found(view, Filter(articles=(name,))) == set()
                assert found(view, Filter(authors=(name,))) == set()
                assert found(view, Filter(sources=(name,))) == set()
                assert view.current(name) is None
                if self.words:
                    view.lexical(name, 5)
                    view.dense(EMBEDDER.query("x"), 5, Filter(phrases=(name, f'te"xt{name}')))
        with store.writer() as t:
            for a in kept.values():
                assert t.known(a.id) == a.revision
                t.remove(a.id)
        with store.view() as view:
            assert view.articles() == []
