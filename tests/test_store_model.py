"""The local store against a dict: random changes, and after each one everything a reader can ask.

The long form: FOOTNOTE_TORTURE=1 python -m pytest tests/test_store_model.py tests/test_ingest_model.py
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import FINGERPRINT
from forcing import SEED, around_words, small_segments, steps
from hypothesis import seed
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from oracle import (
    ASKED_AUTHORS,
    ASKED_SECTIONS,
    AUTHORS,
    CLOSE,
    DAYS,
    EMBEDDER,
    IDS,
    PARAGRAPHS,
    PHRASES,
    SECTIONS,
    SOURCES,
    TITLES,
    WORDS,
    Entry,
    State,
    entry,
    shares_a_word,
    stats_of,
)

from rag.errors import IndexLocked, UnknownArticle
from rag.handover import Scored
from rag.protocols import View
from rag.retrieve import Dense, Fused, search
from rag.store.local import LocalStore
from rag.store.transaction import LocalTransaction
from rag.types import Filter
from rag.words import terms, words

ALL = 10_000
"""More than any of these indexes holds."""


def some(values: Iterable[str], most: int = 2) -> st.SearchStrategy[tuple[str, ...]]:
    """Draw a few of the values."""
    return st.lists(st.sampled_from(list(values)), min_size=1, max_size=most).map(tuple)


KINDS: dict[str, st.SearchStrategy[Any]] = {
    "sections": some(ASKED_SECTIONS),
    "phrases": some(PHRASES),
    "authors": some(ASKED_AUTHORS),
    "since": st.sampled_from(DAYS),
    "until": st.sampled_from(DAYS),
    "sources": some([*SOURCES, "elsewhere"], 1),
    "articles": some([*IDS, "nothing"], 5),
}
FILTERS = (
    st.lists(st.sampled_from(list(KINDS)), max_size=3, unique=True)
    .flatmap(lambda kinds: st.fixed_dictionaries({kind: KINDS[kind] for kind in kinds}))
    .map(lambda given: Filter(**given))
)
EVERY_TIME = (
    Filter(),
    Filter(sections=("lead",)),
    Filter(phrases=(PHRASES[0],)),
    Filter(until=DAYS[1]),
    Filter(sources=(SOURCES[0],)),
    Filter(authors=("ANN  Ö. GÖK",), sections=("bckground:",)),
    Filter(articles=IDS[:4], phrases=("tide",)),
)
"""Filters that are tried after every step in turn."""

ENTRIES = st.builds(
    entry,
    st.sampled_from(IDS),
    st.lists(st.integers(0, len(PARAGRAPHS) - 1), min_size=1, max_size=4),
    title=st.integers(0, len(TITLES) - 1),
    authors=st.lists(st.integers(0, len(AUTHORS) - 1), max_size=2, unique=True),
    published=st.sampled_from([None, *DAYS]),
    source=st.integers(0, len(SOURCES) - 1),
    turn=st.integers(0, len(SECTIONS) - 1),
)
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("put"), ENTRIES),
        st.tuples(st.just("put"), ENTRIES),
        st.tuples(st.just("remove"), st.sampled_from(IDS)),
        st.tuples(st.sampled_from(["remove and add", "change back"]), st.sampled_from(IDS)),
        st.tuples(st.sampled_from(["commit", "look"]), st.none()),
    ),
    min_size=1,
    max_size=12,
)
GROWTH = st.lists(ENTRIES, min_size=6, max_size=14)
QUERIES = st.lists(st.sampled_from(list(WORDS)), min_size=1, max_size=4).map(" ".join)
NUMBERS = st.one_of(st.integers(1, 6), st.integers(7, 40), st.just(ALL))


class Abandoned(Exception):
    """What a writer's block is left with in place of a commit."""


@dataclass
class Held:
    """A view kept open, and what it must go on showing."""

    store: int
    stack: ExitStack
    view: View
    state: State


class Work:
    """A writer at work, and what it should have made of the index."""

    def __init__(self, transaction: LocalTransaction, state: State, erased: set[bytes]) -> None:
        self.transaction = transaction
        self.fingerprint = state.fingerprint
        self.kept, self.old = dict(state.kept), dict(state.old)
        # Every revision of each article since it was added: what leaves with it.
        self.revisions: dict[str, list[Entry]] = {}
        self.erased, self.leaving = erased, set[bytes]()

    def put(self, e: Entry) -> None:
        """Add an article as the pipeline does: only vectors that are said not to be there are given."""
        missing = list(dict.fromkeys(set(e.keys) - self.transaction.cached(e.keys)))
        texts = dict(zip(e.keys, e.texts, strict=True))
        if missing:
            self.transaction.remember(missing, EMBEDDER.vectors([texts[k] for k in missing]))
            self.erased.difference_update(missing)
        self.transaction.add(e.article, e.new, f"/pages/{e.article.id}")
        a = e.article
        before = self.kept.get(a.id)
        if before:
            self.old[a.id, before.article.revision] = before.article
        self.old.pop((a.id, a.revision), None)
        self.kept[a.id] = e
        self.revisions.setdefault(a.id, []).append(e)

    def remove(self, id: str) -> None:
        """Remove an article, or see that it is unknown."""
        if id not in self.kept:
            with pytest.raises(UnknownArticle):
                self.transaction.remove(id)
            return
        self.transaction.remove(id)
        self.kept.pop(id)
        self.old = {at: a for at, a in self.old.items() if at[0] != id}
        self.leaving.update(k for e in self.revisions.pop(id) for k in e.keys)

    @property
    def state(self) -> State:
        return State(dict(self.kept), dict(self.old), self.fingerprint)

    def used(self) -> set[bytes]:
        """Return the keys of all vectors that an article has."""
        return {k for found in self.revisions.values() for e in found for k in e.keys}

    def check(self) -> None:
        """See that the writer knows what is there."""
        t = self.transaction
        assert t.ids() == t.ids("/pages") == set(self.kept)
        for id in IDS:
            kept = self.kept.get(id)
            assert t.known(id) == (kept.article.revision if kept else None)
            assert t.ids(f"/pages/{id}") == ({id} if kept else set())
        assert t.cached(list(self.used())) == self.used(), "a vector that is in use is gone"
        if not self.leaving:
            assert not t.cached(list(self.erased)), "a vector outlived all that had it"


class StoreMachine(RuleBasedStateMachine):
    """Several stores on one folder, and what it should hold."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="footnote-model-"))
        self.patch = pytest.MonkeyPatch()
        self.state = State()
        self.revisions: dict[str, list[Entry]] = {}
        self.erased: set[bytes] = set()
        self.stores = [LocalStore.create(self.folder / "index", FINGERPRINT)]
        self.held: list[Held] = []
        self.at_work: Work | None = None
        self.generation = 0
        # What each row was once, those that are gone included.
        self.rows: dict[int, str] = {}
        self.gone: set[int] = set()
        self.step = 0

    def teardown(self) -> None:
        while self.held:
            self.held.pop().stack.close()
        for store in self.stores:
            store.close()
        self.patch.undo()
        shutil.rmtree(self.folder)

    def store(self, n: int) -> LocalStore:
        return self.stores[n % len(self.stores)]

    # -- changes ------------------------------------------------------------------------------

    @initialize(tail=st.sampled_from([3, 0, 9]), scan=st.booleans(), first=GROWTH)
    def begin(self, tail: int, scan: bool, first: list[Entry]) -> None:
        small_segments(self.patch, tail=tail, scan=scan)
        around_words(self.patch, self.see_one_or_the_other)
        self.grow(0, first)

    # Small changes leave large segments as they are, so that there are several.
    @rule(n=st.integers(0, 2), entries=st.lists(ENTRIES, min_size=1, max_size=2))
    def touch(self, n: int, entries: list[Entry]) -> None:
        self.grow(n, entries)

    @rule(n=st.integers(0, 2), entries=GROWTH)
    def grow(self, n: int, entries: list[Entry]) -> None:
        with self.writing(n, kept=True) as work:
            for e in entries:
                work.put(e)

    @rule(n=st.integers(0, 2), changes=CHANGES, kept=st.sampled_from([True, True, True, False]))
    def change(self, n: int, changes: list[tuple[str, Any]], kept: bool) -> None:
        with self.writing(n, kept) as work:
            self.apply(work, changes)

    # Seldom, because an index that is always small is not worth much.
    @precondition(lambda self: self.step % 5 == 4)
    @rule(n=st.integers(0, 2), changes=CHANGES, kept=st.booleans(), share=st.sampled_from([0.0, 0.5]))
    def rebuild(self, n: int, changes: list[tuple[str, Any]], kept: bool, share: float) -> None:
        with self.writing(n, kept, share) as work:
            self.apply(work, changes)

    @contextmanager
    def writing(self, n: int, kept: bool, share: float | None = None) -> Iterator[Work]:
        """Give a writer; with a share it rebuilds, and unless it is to be `kept` it is abandoned."""
        wanted = None if share is None else replace(FINGERPRINT, context=share)
        try:
            with self.store(n).writer(wanted) as t:
                work = Work(t, self.state, self.erased)
                work.revisions = {id: list(e) for id, e in self.revisions.items()}
                if wanted:
                    work.kept, work.old, work.revisions, work.fingerprint = {}, {}, {}, wanted
                work.check()
                self.at_work = work
                yield work
                work.check()
                if not kept:
                    raise Abandoned
                t.commit()
                self.committed(work)
        except Abandoned:
            pass
        finally:
            self.at_work = None

    def apply(self, work: Work, changes: list[tuple[str, Any]]) -> None:
        for what, subject in changes:
            if what == "put":
                work.put(subject)
            elif what == "remove":
                work.remove(subject)
            elif what == "remove and add" and subject in work.kept:
                again = work.kept[subject]
                work.remove(subject)
                work.put(again)
            elif what == "change back" and subject in work.kept:
                work.put(work.revisions[subject][0])
            elif what == "commit":
                work.transaction.commit()
                self.committed(work)
                work.check()
            elif what == "look":
                self.nobody_else_sees_or_writes()

    def committed(self, work: Work) -> None:
        """Take what a writer did for what is there."""
        self.state = work.state
        self.revisions = {id: list(e) for id, e in work.revisions.items()}
        self.erased |= work.leaving
        self.erased -= work.used()
        work.leaving.clear()

    def nobody_else_sees_or_writes(self) -> None:
        for store in self.stores:
            with store.view() as view:
                self.check_whole(view, self.state)
            with pytest.raises(IndexLocked):
                with store.writer():
                    raise AssertionError("two writers at once")

    def see_one_or_the_other(self) -> None:
        """See that in the middle of a commit there is the state before or the one after, and all of it."""
        if self.at_work is None:
            return
        fresh = LocalStore(self.folder / "index")
        for store in [*self.stores, fresh]:
            with store.view() as view:
                try:
                    self.check_whole(view, self.state)
                except AssertionError:
                    self.check_whole(view, self.at_work.state)
        fresh.close()

    # -- readers ------------------------------------------------------------------------------

    @precondition(lambda self: len(self.stores) < 3)
    @rule()
    def open_another(self) -> None:
        self.stores.append(LocalStore(self.folder / "index"))

    @rule(n=st.integers(0, 2))
    def reopen(self, n: int) -> None:
        n %= len(self.stores)
        for held in [h for h in self.held if h.store == n]:
            held.stack.close()
            self.held.remove(held)
        self.stores[n].close()
        self.stores[n] = LocalStore.create(self.folder / "index", FINGERPRINT)

    @precondition(lambda self: len(self.held) < 2)
    @rule(n=st.integers(0, 2))
    def hold(self, n: int) -> None:
        stack = ExitStack()
        self.held.append(Held(n % len(self.stores), stack, stack.enter_context(self.store(n).view()), self.state))

    @precondition(lambda self: self.held)
    @rule(n=st.integers(0, 1))
    def let_go(self, n: int) -> None:
        self.held.pop(n % len(self.held)).stack.close()

    @rule(n=st.integers(0, 2), query=QUERIES, other=QUERIES, k=NUMBERS, where=FILTERS)
    def ask(self, n: int, query: str, other: str, k: int, where: Filter) -> None:
        with self.store(n).view() as view:
            check_search(view, self.state, query, other, k, where)

    @precondition(lambda self: self.held)
    @rule(n=st.integers(0, 1), query=QUERIES, other=QUERIES, k=NUMBERS, where=FILTERS)
    def ask_held(self, n: int, query: str, other: str, k: int, where: Filter) -> None:
        held = self.held[n % len(self.held)]
        check_search(held.view, held.state, query, other, k, where)

    # -- after every step ---------------------------------------------------------------------

    @invariant()
    def everything_is_there(self) -> None:
        self.step += 1
        with self.store(self.step).view() as view:
            self.check_whole(view, self.state)
            where = EVERY_TIME[self.step % len(EVERY_TIME)]
            check_search(view, self.state, "harbour tide gokdogan", "ferry", 1 + self.step % 5, where)
            check_articles(view, self.state)
            now = rows_of(view)
            for row, id in now.items():
                assert self.rows.setdefault(row, id) == id, "a row means another passage than it did"
            assert not self.gone & now.keys(), "a row that was removed is back"
            self.gone |= self.rows.keys() - now.keys()
            assert view.generation >= self.generation
            self.generation = view.generation

    @invariant()
    def held_views_do_not_change(self) -> None:
        for held in self.held:
            self.check_whole(held.view, held.state)

    def check_whole(self, view: View, state: State) -> None:
        """See that a view shows one state and all of it."""
        assert view.fingerprint == state.fingerprint
        assert [head for head, _ in view.articles()] == [state.kept[id].article.head for id in sorted(state.kept)]
        stats = stats_of(view)
        assert (stats.articles, stats.passages) == (len(state.kept), sum(len(e.spans) for e in state.kept.values()))
        assert (stats.generation, stats.fingerprint) == (view.generation, view.fingerprint)
        found = rows_of(view)
        assert sorted(found.values()) == sorted(p.id for p in state.passages())
        said = view.lexical(" ".join(WORDS), ALL).rows.tolist()
        assert sorted(found[row] for row in said) == sorted(
            p.id for p in state.passages() if shares_a_word(p, " ".join(WORDS))
        )


def rows_of(view: View) -> dict[int, str]:
    """Return all rows that can be found, and the ids of their passages."""
    rows = view.dense(EMBEDDER.query(""), ALL).rows.tolist()
    assert len(rows) == len(set(rows))
    return dict(zip(rows, (p.id for p, _ in view.passages(rows)), strict=True))


def check_articles(view: View, state: State) -> None:
    """See that every revision can be read that should be, and no other."""
    for id in IDS:
        kept = state.kept.get(id)
        if kept:
            assert view.article(id) == view.article(id, kept.article.revision) == kept.article
        else:
            with pytest.raises(UnknownArticle):
                view.article(id)
        with pytest.raises(UnknownArticle):
            view.article(id, "0123456789abcdef")
    for (id, revision), article in state.old.items():
        assert view.article(id, revision) == article


def check_search(view: View, state: State, query: str, other: str, k: int, where: Filter) -> None:
    """See that every search gives what plain numpy gives."""
    wanted = {p.id: p for p in state.passages(where)}
    vector = EMBEDDER.query(query)
    scores = {id: float(p.vector @ vector) for id, p in wanted.items()}

    dense = view.dense(vector, k, where)
    ids = ids_of(view, state, dense)
    check_best(dense, ids, scores, k)
    alike: dict[object, float] = {}
    for id, score in zip(ids, dense.scores.tolist(), strict=True):
        assert score == pytest.approx(scores[id], abs=CLOSE)
        assert alike.setdefault(wanted[id].alike, score) == score, "one text has two scores"
    among_others = view.dense_many(EMBEDDER.queries([other, query, other]), k, where)
    for found, alone in zip(among_others, [view.dense(EMBEDDER.query(other), k, where), dense] * 2, strict=False):
        np.testing.assert_array_equal(found.rows, alone.rows)
        np.testing.assert_array_equal(found.scores, alone.scores)

    every = {id: row for row, id in rows_of(view).items()}
    near = view.similar(vector, np.array([every[id] for id in wanted], np.int64))
    np.testing.assert_allclose(near, list(scores.values()), atol=CLOSE)
    place = {id: n for n, id in enumerate(wanted)}
    np.testing.assert_array_equal(near[[place[id] for id in ids]], dense.scores)

    check_lexical(view, state, query, k, where)
    counts = {e.article.id: len(e.spans) for e in state.kept.values()}
    listed = sorted({p.entry.article.id for p in wanted.values()}) if where else sorted(counts)
    assert [(h.id, n) for h, n in view.articles(where)] == [(id, counts[id]) for id in listed]
    for text in (query, f'{query} "{PHRASES[len(query) % len(PHRASES)]}"'):
        check_hits(view, state, text, k, where)


def ids_of(view: View, state: State, found: Scored) -> list[str]:
    """Return the ids of the passages found, each seen to be as its article has it."""
    passages = view.passages(found.rows.tolist())
    for passage, head in passages:
        article = state.kept[head.id].article
        assert head == article.head
        assert (passage.article_id, passage.revision) == (article.id, article.revision)
        assert passage.text == article.text[passage.start : passage.end]
        assert (passage.start, passage.end, passage.section) in state.kept[head.id].spans
    return [p.id for p, _ in passages]


def check_best(found: Scored, ids: list[str], scores: dict[str, float], k: int) -> None:
    """See that these are the best k and what ties with the last of them, in order."""
    assert len(ids) == len(set(ids)) >= min(k, len(scores))
    assert set(ids) <= scores.keys()
    check_order(found, k)
    if ids and len(ids) < len(scores):
        last = min(scores[id] for id in ids)
        left = {id: s for id, s in scores.items() if id not in ids}
        assert max(left.values()) <= last + CLOSE, "a better passage was left out"


def check_order(found: Scored, k: int) -> None:
    """See that scores fall, equal ones stand by row, and only ties go beyond k."""
    given = list(zip((-found.scores).tolist(), found.rows.tolist(), strict=True))
    assert given == sorted(given)
    assert set(found.scores[k:].tolist()) <= set(found.scores[k - 1 : k].tolist())


def check_lexical(view: View, state: State, query: str, k: int, where: Filter) -> None:
    """See that exactly those are found that share a word, and of them the best."""
    whole = view.lexical(query, ALL, where)
    assert sorted(ids_of(view, state, whole)) == sorted(p.id for p in state.passages(where) if shares_a_word(p, query))
    check_order(whole, ALL)
    few = view.lexical(query, k, where)
    check_order(few, k)
    least = whole.scores[k - 1] if len(whole.rows) > k else 0.0
    np.testing.assert_array_equal(few.rows, whole.rows[whole.scores >= least])
    np.testing.assert_array_equal(few.scores, whole.scores[whole.scores >= least])


def check_hits(view: View, state: State, query: str, k: int, where: Filter) -> None:
    """See that a search gives min(k, matches) hits, none twice, the first ones the same however many are wanted.

    What is left out is printed alike by an article that a hit names; articles as short as these are twins if their
    words are the same.
    """
    quoted = tuple(query.split('"')[1:2])
    matches = state.passages(replace(where, phrases=where.phrases + quoted))
    printed = {id: [WORDS[w][0] for w in e.article.text.split()] for id, e in state.kept.items()}
    k = min(k, 60)
    for retriever in (Dense(EMBEDDER), Fused(EMBEDDER, dense_weight=0.65, depth=3)):
        hits = search(retriever, view, query, 1_000, where)
        ids = [h.passage.id for h in hits]
        assert len(ids) == len(set(ids))
        assert set(ids) <= {p.id for p in matches}
        assert [h.rank for h in hits] == list(range(1, len(hits) + 1))
        assert [(-h.score, h.passage.id) for h in hits] == sorted((-h.score, h.passage.id) for h in hits)
        assert all(printed[a.id] == printed[h.article.id] for h in hits for a in h.also)
        named = {a.id for h in hits for a in h.also}
        assert all(p.id in ids or p.entry.article.id in named for p in matches)
        assert [h.passage.id for h in search(retriever, view, query, k, where)] == ids[:k]
        articles = [h.article.id for h in search(retriever, view, query, 1_000, where, "article")]
        assert len(articles) == len({tuple(printed[id]) for id in articles})
        assert {tuple(printed[id]) for id in articles} == {tuple(printed[p.entry.article.id]) for p in matches}
        assert [h.article.id for h in search(retriever, view, query, k, where, "article")] == articles[:k]
        if not named:
            assert len(ids) == len(matches)
            assert articles == list(dict.fromkeys(h.article.id for h in hits))


def test_the_words_are_what_the_oracle_says() -> None:
    for written, (plain, stem) in WORDS.items():
        assert words(written) == [plain]
        assert terms(written) == ([stem] if stem else [])


def test_what_left_in_a_rebuild_holds_no_vector_back(tmp_path: Path) -> None:
    twins = entry("a0", [1]), entry("a1", [1])
    store = LocalStore.create(tmp_path / "index", FINGERPRINT)
    with store.writer() as t:
        work = Work(t, State(), set())
        for twin in twins:
            work.put(twin)
    with store.writer(FINGERPRINT) as t:
        Work(t, State(), set()).put(twins[0])
    with store.writer() as t:
        t.remove("a0")
    with store.writer() as t:
        assert not t.cached(twins[0].keys)
    store.close()


def test_an_article_that_fills_the_first_lists_is_one_hit(tmp_path: Path) -> None:
    entries = [entry("a0", [0] * 20), *(entry(f"a{n}", [n]) for n in range(1, 5))]
    store = LocalStore.create(tmp_path / "index", FINGERPRINT)
    with store.writer() as t:
        work = Work(t, State(), set())
        for e in entries:
            work.put(e)
    with store.view() as view:
        for k in range(1, 6):
            check_hits(view, work.state, PARAGRAPHS[0], k, Filter())
    store.close()


def test_random_changes_and_searches() -> None:
    """What is asserted stands in the rules and invariants of StoreMachine."""
    run_state_machine_as_test(seed(SEED)(StoreMachine), settings=steps(quick=(12, 18), full=(100, 50)))
