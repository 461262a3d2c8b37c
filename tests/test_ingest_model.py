"""Ingest against a dict: files written, edited, moved, lost and spoiled, and what each run should report and embed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from fakes import HashEmbedder
from forcing import SEED, hurried_ingest, small_segments, steps
from hypothesis import seed
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from rag import engine, keeping
from rag.errors import UnknownArticle
from rag.handover import Vectors
from rag.intake.text import embedded_text
from rag.settings import Settings
from rag.store.local import LocalStore
from rag.types import Filter, Report

PARAGRAPHS = tuple(
    f"The log of day {n} says that the tide took {3 * n} of the buoys to the harbour." for n in range(40)
)
HEADINGS = ("LEAD", "BACKGROUND", "OUTLOOK")


@dataclass(frozen=True, slots=True)
class Page:
    """A Markdown page; without an id of its own it is known by its path."""

    id: str
    title: str
    paragraphs: tuple[int, ...]
    spoiled: bool = False

    def written(self) -> str:
        if self.spoiled:
            return ""
        front = f"---\n{f'id: {self.id}' if self.id else ''}\ntitle: {self.title}\n---\n"
        return front + "".join(
            f"## {heading}\n\n{PARAGRAPHS[n]}\n\n" for heading, n in zip(HEADINGS, self.paragraphs, strict=False)
        )

    @property
    def texts(self) -> tuple[str, ...]:
        """What is embedded for it."""
        return tuple(embedded_text(self.title, PARAGRAPHS[n]) for n in self.paragraphs)


@dataclass(frozen=True, slots=True)
class Stored:
    """An article of the index: the page it was made of, where that lay, and the source it is filed under."""

    page: Page
    origin: str
    source: str


class Interrupting(HashEmbedder):
    """Stops in the middle of a run, once."""

    def __init__(self) -> None:
        super().__init__()
        self.left: int | None = None

    def passages(self, texts: Iterable[str]) -> Iterator[Vectors]:
        for vectors in super().passages(texts):
            if self.left == 0:
                self.left = None
                # What was embedded last is lost with the run.
                self.embedded.pop()
                raise KeyboardInterrupt
            self.left = self.left and self.left - 1
            yield vectors


# Some are often shared, others are new.
NUMBERS = st.one_of(st.integers(0, 5), st.integers(6, len(PARAGRAPHS) - 1))
PAGES = st.builds(
    Page,
    st.sampled_from(["", "x", "y", "z"]),
    st.sampled_from(["Ferry", "Old ferry"]),
    st.lists(NUMBERS, min_size=1, max_size=3).map(tuple),
)


class IngestMachine(RuleBasedStateMachine):
    """A folder of pages, the index made of it, and what that should hold."""

    def __init__(self) -> None:
        super().__init__()
        self.base = Path(tempfile.mkdtemp(prefix="footnote-ingest-")).resolve()
        self.root, self.index = self.base / "pages", self.base / "index"
        (self.root / "sub").mkdir(parents=True)
        self.patch = pytest.MonkeyPatch()
        self.embedder = Interrupting()
        for module in (engine, keeping):
            self.patch.setattr(module, "model_of", lambda *_, **__: self.embedder)
        self.settings = Settings.load(passages={"tokens": 32})
        self.files: dict[str, Page] = {}
        self.kept: dict[str, Stored] = {}
        # Texts that each article has had since it was added, and all whose vectors are stored.
        self.used: dict[str, set[str]] = {}
        self.vectors: set[str] = set()
        self.made = 0

    def teardown(self) -> None:
        self.patch.undo()
        shutil.rmtree(self.base)

    # -- pages --------------------------------------------------------------------------------

    def name(self) -> str:
        self.made += 1
        # The order of names is that of reading, so new ones come before and after those that are there.
        return f"{'sub/' if self.made % 3 == 0 else ''}{'amz'[self.made % 3]}{self.made}.md"

    def put(self, name: str, page: Page) -> None:
        self.files[name] = page
        (self.root / name).write_text(page.written(), "utf-8")

    def pick(self, n: int) -> str:
        return sorted(self.files)[n % len(self.files)]

    @initialize(
        first=st.lists(PAGES, min_size=3, max_size=6),
        tail=st.sampled_from([3, 0]),
        group=st.sampled_from([0, 1, 3]),
        keep=st.booleans(),
        dry_run=st.booleans(),
    )
    def begin(self, first: list[Page], tail: int, group: int, keep: bool, dry_run: bool) -> None:
        small_segments(self.patch, tail=tail)
        if group:
            hurried_ingest(self.patch, group=group, keep=keep)
        for page in first:
            self.put(self.name(), page)
        self.run(None, dry_run=dry_run)

    @rule(page=PAGES)
    def write(self, page: Page) -> None:
        self.put(self.name(), page)

    @rule(n=st.integers(0, 9), place=st.integers(0, 2), by=NUMBERS)
    def edit_a_paragraph(self, n: int, place: int, by: int) -> None:
        page = self.files[self.pick(n)]
        place %= len(page.paragraphs)
        self.put(self.pick(n), replace(page, paragraphs=(*page.paragraphs[:place], by, *page.paragraphs[place + 1 :])))

    @rule(n=st.integers(0, 9), title=st.sampled_from(["Ferry", "Old ferry"]))
    def retitle(self, n: int, title: str) -> None:
        self.put(self.pick(n), replace(self.files[self.pick(n)], title=title))

    @rule(n=st.integers(0, 9), prune=st.sampled_from([None, False, True]))
    def move(self, n: int, prune: bool | None) -> None:
        name = self.pick(n)
        page = self.files.pop(name)
        (self.root / name).unlink()
        self.put(self.name(), page)
        if prune is not None:
            self.run(None, prune=prune)

    @rule(n=st.integers(0, 9))
    def copy(self, n: int) -> None:
        self.put(self.name(), self.files[self.pick(n)])

    @rule(n=st.integers(0, 9))
    def spoil_or_mend(self, n: int) -> None:
        page = self.files[self.pick(n)]
        self.put(self.pick(n), replace(page, spoiled=not page.spoiled))

    @precondition(lambda self: len(self.files) > 1)
    @rule(n=st.integers(0, 9))
    def delete(self, n: int) -> None:
        name = self.pick(n)
        del self.files[name]
        (self.root / name).unlink()

    # -- the index ----------------------------------------------------------------------------

    @rule(one=st.none() | st.integers(0, 9), prune=st.booleans(), dry_run=st.sampled_from([False, False, True]))
    def ingest(self, one: int | None, prune: bool, dry_run: bool) -> None:
        self.run(one, prune=prune, dry_run=dry_run)

    @rule(prune=st.booleans())
    def ingest_twice(self, prune: bool) -> None:
        self.run(None, prune=prune)
        before = len(self.embedder.embedded)
        again = self.run(None, prune=prune)
        assert (again.added, again.changed, again.removed, again.embedded) == (0, 0, 0, 0)
        assert len(self.embedder.embedded) == before

    @rule(dry_run=st.booleans())
    def rebuild(self, dry_run: bool) -> None:
        self.run(None, rebuild=True, dry_run=dry_run)

    @rule(pages=st.lists(PAGES, min_size=1, max_size=4), left=st.integers(0, 6))
    def interrupt(self, pages: list[Page], left: int) -> None:
        """Interrupt a run and begin it again: together they embed and store what one would have."""
        for page in pages:
            self.put(self.name(), page)
        self.embedder.left = left
        before = len(self.embedder.embedded)
        try:
            keeping.ingest([self.root], self.index, self.settings)
        except KeyboardInterrupt:
            kept = set(self.embedder.embedded[before:])
            assert len(kept) == left
            report = self.run(None, counts=False, already=kept)
            assert report.embedded == len(self.embedder.embedded) - before - left
        else:
            del self.embedder.embedded[before:]
            self.expect(self.index, None, prune=False, rebuild=False, already=set())
        self.embedder.left = None
        self.check()

    @rule(id=st.sampled_from(["x", "y", "z"]))
    def erase(self, id: str) -> None:
        if not LocalStore.exists(self.index):
            return
        if id in self.kept:
            keeping.remove(id, self.index, self.settings)
            self.forget(id)
        else:
            with pytest.raises(UnknownArticle):
                keeping.remove(id, self.index, self.settings)
        self.check()

    def run(
        self,
        one: int | None,
        *,
        prune: bool = False,
        rebuild: bool = False,
        dry_run: bool = False,
        counts: bool = True,
        already: set[str] | None = None,
    ) -> Report:
        """Ingest the folder or one page of it, and see that the report and the index are as they should be."""
        before = len(self.embedder.embedded)
        name = None if one is None else self.pick(one)
        source = self.root / name if name else self.root
        report = keeping.ingest([source], self.index, self.settings, prune=prune, rebuild=rebuild, dry_run=dry_run)
        embedded = self.embedder.embedded[before:]
        saved = dict(self.kept), {id: set(t) for id, t in self.used.items()}, set(self.vectors)
        wanted, new = self.expect(source, name, prune=prune, rebuild=rebuild and not dry_run, already=already or set())
        if rebuild and dry_run:
            # A dry run compares with what is there, whatever it is a rehearsal of.
            assert not prune
        # A page that now names another source is stored anew, whatever else it says.
        before_it = {id: (s.page, s.source) for id, s in saved[0].items()}
        stored = [s for id, s in self.kept.items() if rebuild or before_it.get(id) != (s.page, s.source)]
        printed = Counter(s.page.paragraphs for s in self.kept.values())
        # Articles as short as these are twins if their words are the same.
        wanted = replace(wanted, duplicates=sum(printed[s.page.paragraphs] > 1 for s in stored))
        if dry_run:
            self.kept, self.used, self.vectors = saved
            wanted, new = replace(wanted, embedded=0, reused=0, duplicates=0), []
        if counts:
            passages = sum(len(s.page.texts) for s in self.kept.values())
            if LocalStore.exists(self.index):
                wanted = replace(wanted, articles=len(self.kept), passages=passages)
            assert replace(report, seconds=0.0, failed=()) == replace(wanted, failed=())
            assert sorted(f.source for f in report.failed) == sorted(f for f in wanted.failed)
        assert sorted(embedded) == sorted(new)
        self.check()
        return report

    def expect(
        self, source: Path, name: str | None, *, prune: bool, rebuild: bool, already: set[str]
    ) -> tuple[Report, list[str]]:
        """Do what an ingest should to the dict; return its report, failures as their paths, and the texts embedded.

        Texts that are `already` embedded were so by a run that was interrupted.
        """
        if rebuild:
            self.kept, self.used = {}, {}
        added = changed = removed = unchanged = texts = 0
        failed: list[str] = []
        new: list[str] = []
        seen: set[str] = set()
        self.vectors |= already
        for file in sorted(self.files) if name is None else [name]:
            page, path = self.files[file], str(self.root / file)
            id = page.id or (file if name is None else Path(file).name)
            stored = self.kept.get(id)
            elsewhere = stored and stored.origin != path and Path(stored.origin).exists()
            if page.spoiled or id in seen or elsewhere:
                failed.append(path)
                continue
            seen.add(id)
            filed = file if name is None else Path(file).name
            if stored and stored.page == page and (stored.origin == path or stored.source == filed):
                unchanged += 1
                self.kept[id] = replace(stored, origin=path)
                continue
            added, changed = added + (stored is None), changed + (stored is not None)
            self.kept[id] = Stored(page, path, filed)
            texts += len(page.texts)
            fresh = [t for t in dict.fromkeys(page.texts) if t not in self.vectors]
            new += fresh
            self.vectors.update(fresh)
            self.used.setdefault(id, set()).update(page.texts)
        if prune:
            under = [
                id for id, s in self.kept.items() if s.origin == str(source) or s.origin.startswith(f"{self.root}/")
            ]
            for id in under if name is None else [id for id in under if self.kept[id].origin == str(source)]:
                if id not in seen and self.kept[id].origin not in failed:
                    self.forget(id)
                    removed += 1
        if rebuild:
            # Vectors of earlier texts that no article has any more go with these.
            self.vectors = {t for texts in self.used.values() for t in texts}
        report = Report(
            added=added,
            changed=changed,
            removed=removed,
            unchanged=unchanged,
            embedded=len(new),
            reused=texts - len(new),
            failed=tuple(failed),  # type: ignore[arg-type]
        )
        return report, new

    def forget(self, id: str) -> None:
        del self.kept[id]
        left = self.used.pop(id)
        self.vectors -= left - {t for texts in self.used.values() for t in texts}

    def check(self) -> None:
        """See that the index holds what it should."""
        if not LocalStore.exists(self.index):
            assert not self.kept
            return
        store = LocalStore(self.index)
        with store.view() as view:
            assert [h.id for h, _ in view.articles()] == sorted(self.kept)
            found: dict[str, list[tuple[int, str]]] = {id: [] for id in self.kept}
            for passage, head in view.passages(view.dense(self.embedder.query("tide"), 1_000).rows.tolist()):
                found[head.id].append((passage.start, embedded_text(head.title, passage.text)))
            for id, stored in self.kept.items():
                assert [text for _, text in sorted(found[id])] == list(stored.page.texts)
            assert len(view.lexical("tide", 1_000).rows) == sum(len(s.page.texts) for s in self.kept.values())
        store.close()


def test_random_pages_and_runs() -> None:
    """What is asserted stands in the rules and invariants of IngestMachine."""
    run_state_machine_as_test(seed(SEED)(IngestMachine), settings=steps(quick=(25, 16), full=(100, 50)))


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (engine, keeping):
        monkeypatch.setattr(module, "model_of", lambda *_, **__: HashEmbedder())


def note(path: Path, id: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(Page(id, "Ferry", (1,)).written(), "utf-8")


@pytest.mark.usefixtures("hashed")
def test_an_article_that_moved_leaves_its_path_to_others(tmp_path: Path) -> None:
    pages, settings = tmp_path / "pages", Settings.load()
    note(pages / "a.md", "x")
    keeping.ingest([pages], tmp_path / "index", settings)
    (pages / "a.md").rename(pages / "b.md")
    keeping.ingest([pages], tmp_path / "index", settings)
    note(pages / "a.md", "y")
    report = keeping.ingest([pages], tmp_path / "index", settings)
    assert not report.failed
    assert (report.added, report.unchanged) == (1, 1)


@pytest.mark.usefixtures("hashed")
def test_pruning_the_folder_that_an_article_has_left_keeps_it(tmp_path: Path) -> None:
    left, entered, settings = tmp_path / "left", tmp_path / "entered", Settings.load()
    note(left / "a.md", "x")
    note(left / "b.md", "y")
    keeping.ingest([left], tmp_path / "index", settings)
    entered.mkdir()
    (left / "a.md").rename(entered / "a.md")
    keeping.ingest([left, entered], tmp_path / "index", settings)
    report = keeping.ingest([left], tmp_path / "index", settings, prune=True)
    assert (report.removed, report.articles) == (0, 2)


@pytest.mark.usefixtures("hashed")
def test_pruning_keeps_what_cannot_be_reached_today(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages, index, settings = tmp_path / "pages", tmp_path / "index", Settings.load()
    note(pages / "a.md", "x")
    note(pages / "shut" / "b.md", "y")
    note(pages / "c.md", "z")
    keeping.ingest([pages], index, settings)
    list_folder = os.scandir

    def shut(path: Any) -> Any:
        if Path(path).name == "shut":
            raise PermissionError(13, "Permission denied", str(path))
        return list_folder(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", shut)
        report = keeping.ingest([pages], index, settings, prune=True)
    assert (report.removed, report.unchanged, report.articles) == (0, 2, 3)
    assert [Path(f.source).name for f in report.failed] == ["shut"]
    # A link out of the folder stands where a file was.
    (pages / "c.md").rename(tmp_path / "c.md")
    (pages / "c.md").symlink_to(tmp_path / "c.md")
    report = keeping.ingest([pages], index, settings, prune=True)
    assert (report.removed, report.articles, len(report.failed)) == (0, 3, 1)
    (pages / "c.md").unlink()
    assert keeping.ingest([pages], index, settings, prune=True).removed == 1


@pytest.mark.usefixtures("hashed")
def test_an_article_that_names_another_source_is_found_under_it(tmp_path: Path) -> None:
    page, index, settings = tmp_path / "pages" / "a.md", tmp_path / "index", Settings.load()
    page.parent.mkdir()

    def filed(front: str) -> tuple[Report, list[str]]:
        page.write_text(f"---\nid: x\ntitle: Ferry\n{front}---\n{PARAGRAPHS[1]}\n", "utf-8")
        report = keeping.ingest([page.parent], index, settings)
        again = keeping.ingest([page.parent], index, settings)
        assert (again.unchanged, again.changed) == (1, 0)
        store = LocalStore(index)
        with store.view() as view:
            found = [head.source for head, _ in view.articles()]
            assert len(view.lexical("tide", 9, Filter(sources=tuple(found))).rows) == 1
        store.close()
        return report, found

    assert filed("source: Gazette\n")[1] == ["Gazette"]
    report, found = filed("source: Courier\n")
    assert (found, report.changed, report.embedded) == (["Courier"], 1, 0)
    report, found = filed("")
    assert (found, report.changed, report.embedded) == (["a.md"], 1, 0)
    # Ingested by itself it has another path, which is nothing that it says.
    (page.parent / "sub").mkdir()
    page = page.rename(page.parent / "sub" / "a.md")
    assert keeping.ingest([page], index, settings).unchanged == 1
    assert keeping.ingest([page.parent.parent], index, settings).unchanged == 1
