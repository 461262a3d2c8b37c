"""What one reader sees: the state that a head tells of (state.py), whatever is written or deleted beside it.

Every question carries that state in its expression, and waits, if it must, for the server to have what was written by
the head's `stamp`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import numpy.typing as npt

from rag.errors import IndexDamaged, StoreError, UnknownArticle
from rag.given import whole
from rag.handover import Kept, NewPassage, Scored, Vector, Vectors
from rag.intake.text import fold
from rag.store.milvus import builds, filters, layout, rows
from rag.store.milvus.rows import Told
from rag.store.milvus.server import MOST, Row, Server, among, lists_of
from rag.store.milvus.state import GRACE_SECONDS, State
from rag.types import Article, ArticleHead, Filter, Fingerprint, Passage, Stats
from rag.words import terms, words

TIES = 32
"""Rows asked for beyond those wanted, so that it is not chance which of those that score the same are shown."""


class MilvusView:
    """A View of a Milvus store, good inside the `with` block that gave it, for GRACE_SECONDS / 2.

    What is newer is never seen, and what is older is still there for longer than that; a view that is used later says
    so.  See `rag.protocols.View`.
    """

    def __init__(self, server: Server, state: State) -> None:
        self._server = server
        self._given: State | None = state
        self._end = time.monotonic() + GRACE_SECONDS / 2

    def end(self) -> None:
        """Refuse to be used from now on."""
        self._given = None

    @property
    def _state(self) -> State:
        if self._given is None:
            raise StoreError("the view is over: use it inside the `with` block that gave it")
        if time.monotonic() > self._end:
            raise StoreError(
                f"the view is older than {GRACE_SECONDS / 2:g} s, and what it shows may be deleted: take another"
            )
        return self._given

    @property
    def generation(self) -> int:
        return self._state.head.generation

    @property
    def fingerprint(self) -> Fingerprint:
        return self._state.head.fingerprint

    # -- search -------------------------------------------------------------------------------

    def dense(self, vector: Vector, k: int, where: Filter | None = None) -> Scored:
        asked, limit = self._passing(where), min(k + TIES, MOST)
        asking: npt.NDArray[Any] = vector.astype(np.float16) if self._server.can.halves else vector
        how = {"metric_type": "IP", "params": layout.searching(self._state.kind, limit)}
        found = self._search("vector", asking, limit, asked, how)
        return top(self._whole(vector, found, limit, asked), k)

    def dense_many(self, vectors: Vectors, k: int, where: Filter | None = None) -> list[Scored]:
        # One at a time: of several at once the server makes scores that differ in their last place.
        return [self.dense(vector, k, where) for vector in vectors]

    def _whole(self, vector: Vector, found: Scored, limit: int, asked: str) -> Scored:
        """Return all that passes, scored, where an index that is not exact found fewer than that."""
        state = self._state
        if state.kind == "FLAT" or len(found.rows) >= limit:
            return found
        if self._server.count(state.build.passages, asked, state.head.stamp) <= len(found.rows):
            return found
        numbers, held = self._vectors(asked)
        return Scored(numbers, np.vecdot(held, vector).astype(np.float32))

    def lexical(self, text: str, k: int, where: Filter | None = None) -> Scored:
        if not self._server.can.words:
            raise self._too_old("search by words", "2.5")
        # A word that is said twice counts twice, as it does in a folder.
        asked = terms(text)
        if not asked:
            return Scored(np.empty(0, np.int64), np.empty(0, np.float32))
        limit = min(k + TIES, MOST)
        found = self._search("sparse", filters.terms_of(asked), limit, self._passing(where), {"metric_type": "BM25"})
        # Milvus Lite tells how far it is.
        return top(Scored(found.rows, np.abs(found.scores)), k)

    def both(
        self, texts: Sequence[str], vectors: Vectors, k: int, where: Filter | None = None
    ) -> list[tuple[Scored, Scored]]:
        with ThreadPoolExecutor(1) as beside:
            # The server does both at once.
            words = beside.submit(lambda: [self.lexical(text, k, where) for text in texts])
            near = self.dense_many(vectors, k, where)
            return list(zip(near, words.result(), strict=True))

    def similar(self, vector: Vector, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        scores: dict[int, float] = {}
        for some in lists_of(rows.tolist()):
            numbers, held = self._vectors(among("row", some))
            scores.update(zip(numbers.tolist(), np.vecdot(held, vector).tolist(), strict=True))
        return np.array([round(scores[int(row)], 6) for row in rows], np.float32)

    def _search(self, field: str, asked: Any, limit: int, where: str, params: dict[str, Any]) -> Scored:
        state = self._state
        hits = self._server.search(state.build.passages, field, asked, limit, where, state.head.stamp, params)
        return Scored(np.array([row for row, _ in hits], np.int64), np.array([score for _, score in hits], np.float32))

    def _vectors(self, where: str) -> tuple[npt.NDArray[np.int64], Vectors]:
        """Return the rows of some passages and the vectors that are stored for them."""
        found = self._passages(where, ["row", "vector"])
        held = np.array([_numbers(row["vector"]) for row in found], np.float32)
        return np.array([row["row"] for row in found], np.int64), held.reshape(len(found), self.fingerprint.dim)

    def _passing(self, where: Filter | None) -> str:
        """Return the expression for the passages of this state that satisfy a filter."""
        asked = [self._state.passages]
        if where:
            if any(map(words, where.phrases)) and not self._server.can.infix:
                raise self._too_old("filter by phrases", "2.4")
            asked += filters.of_article(where) + filters.of_passage(where)
        return " and ".join(asked)

    def _too_old(self, what: str, version: str) -> StoreError:
        return StoreError(
            f"Milvus at {self._server.address} is of version {self._server.can.version} and cannot {what}:"
            f" {version} or later can"
        )

    # -- passages and articles ----------------------------------------------------------------

    def passages(self, rows: Sequence[int]) -> list[tuple[Passage, ArticleHead]]:
        wanted = [int(row) for row in rows]
        spans: dict[int, Row] = {}
        for some in lists_of(sorted(set(wanted))):
            asked = f"{among('row', some)} and {self._state.passages}"
            for span in self._passages(asked, ["row", "ord", "start", "stop", "section"]):
                spans[int(span["row"])] = span
        if missing := [row for row in wanted if row not in spans]:
            raise KeyError(missing[0])
        heads = {int(row["ord"]): row for row in self._by_ord(sorted({int(s["ord"]) for s in spans.values()}))}
        parts = self._bodies({key for span in spans.values() for key in _keys_of(span)})
        out = []
        for span in (spans[row] for row in wanted):
            row = heads[int(span["ord"])]
            start, end = int(span["start"]), int(span["stop"])
            within = start // layout.PART * layout.PART
            text = "".join(parts[key] for key in _keys_of(span))[start - within : end - within]
            head = Told.of(row).head
            out.append((Passage(head.id, str(row["revision"]), start, end, str(span["section"]), text), head))
        return out

    def article(self, id: str, revision: str | None = None) -> Article:
        id, revision = whole(str(id)), None if revision is None else whole(str(revision))
        found = self._of_id(id, revision)
        if found is None:
            raise self._unknown(id, revision)
        return self._articles_of([found])[int(found["ord"])]

    def _unknown(self, id: str, revision: str | None) -> UnknownArticle:
        named = f"{id!r} in revision {revision}" if revision else repr(id)
        state = self._state
        if self.current(id):
            return UnknownArticle(f"no article {named} in the index: `rag articles show` shows its newest")
        note = f'key like "r{filters.digest(id)}%"'
        days = [str(row["text"]) for row in self._server.rows(state.build.notes, note, ["text"], state.head.stamp)]
        if days:
            return UnknownArticle(f"article {named} was removed from the index on {max(days)}")
        return UnknownArticle(f"no article {named} in the index: `rag articles list` names them")

    def current(self, id: str) -> str | None:
        found = self._of_id(whole(str(id)), None)
        return str(found["revision"]) if found else None

    def _of_id(self, id: str, revision: str | None) -> Row | None:
        """Return the row of an article, of its current revision or of the newest of another one."""
        named = f'id == "{filters.digest(id)}"'
        if revision is None:
            found = self._articles(f"{named} and {self._state.articles}")
        else:
            # A revision is no expression's business: it may be any text that somebody typed.
            found = [row for row in self._revisions(named) if row["revision"] == revision]
        return max(found, key=lambda row: int(row["ord"]), default=None)

    def _revisions(self, named: str) -> list[Row]:
        """Return the rows of all revisions of some articles that are not erased."""
        asked = f"{named} and ord < {self._state.head.next_ord}"
        # In this order: one that is moved from here to there meanwhile is in both first.
        found = [*self._articles(asked), *self._articles(asked, self._state.build.former)]
        return [row for row in found if row["ord"] not in self._state.erased]

    def _moved(self, ords: Sequence[int]) -> dict[int, str]:
        """Return where those of some articles come from that have moved since they were added."""
        state, found = self._state, []
        for some in lists_of(ords):
            asked = f"kind == {layout.MOVED} and n < {state.head.next_change} and {among('ord', some)}"
            found += self._server.rows(state.build.changes, asked, ["n", "ord", "origin"], state.head.stamp)
        found.sort(key=lambda row: int(row["n"]))
        return {int(row["ord"]): rows.origin_of(str(row["origin"])) for row in found}

    def twins(self, ids: Sequence[str]) -> dict[str, tuple[ArticleHead, ...]]:
        if not self._state.head.twins:
            return {}
        found: dict[int, Row] = {}
        for some in lists_of([filters.digest(id) for id in ids]):
            asked = f"{among('id', some)} and {self._state.articles}"
            found.update({int(row["ord"]): row for row in self._articles(asked)})
        linked: dict[int, set[int]] = {ord: set(map(int, row["twins"])) for ord, row in found.items()}
        others: dict[int, Row] = {}
        for some in lists_of(sorted(found)):
            # The newer of two names the older.
            asked = f"array_contains_any(twins, {some}) and {self._state.articles}"
            for row in self._articles(asked):
                others[int(row["ord"])] = row
                for ord in map(int, row["twins"]):
                    if ord in linked:
                        linked[ord].add(int(row["ord"]))
        missing = {ord for of_one in linked.values() for ord in of_one} - others.keys()
        others.update({int(row["ord"]): row for row in self._by_ord(sorted(missing))})
        heads = {ord: Told.of(row).head for ord, row in others.items()}
        told = {
            Told.of(found[ord]).head.id: tuple(sorted((heads[o] for o in of_one if o in heads), key=lambda h: h.id))
            for ord, of_one in linked.items()
        }
        return {id: of_one for id, of_one in told.items() if of_one}

    def articles(self, where: Filter | None = None) -> list[tuple[ArticleHead, int]]:
        asked = [self._state.articles]
        if where:
            asked += filters.of_article(where)
        found = self._articles(" and ".join(asked))
        if where and filters.of_passage(where):
            ords = {int(row["ord"]) for row in self._passages(self._passing(where), ["ord"])}
            found = [row for row in found if int(row["ord"]) in ords]
        heads = [(Told.of(row).head, int(row["passages"])) for row in found]
        return sorted(heads, key=lambda known: known[0].id)

    def cut(self, id: str) -> list[Passage]:
        found = self._of_id(whole(str(id)), None)
        if found is None:
            raise self._unknown(whole(str(id)), None)
        first, count = int(found["first"]), int(found["passages"])
        return [passage for passage, _ in self.passages(range(first, first + count))]

    def kept(self, ids: Sequence[str]) -> list[Kept]:
        wanted, state = [whole(str(id)) for id in ids], self._state
        revisions: dict[str, dict[int, Row]] = {id: {} for id in wanted}
        current: dict[str, Row] = {}
        for some in lists_of([filters.digest(id) for id in wanted]):
            named = among("id", some)
            current |= {Told.of(row).head.id: row for row in self._articles(f"{named} and {state.articles}")}
            for row in self._revisions(named):
                revisions[Told.of(row).head.id][int(row["ord"])] = row
        for id in wanted:
            if id not in current:
                raise self._unknown(id, None)
        passages: dict[int, list[Row]] = {}
        ords = [int(row["ord"]) for row in current.values()]
        for some in lists_of(ords):
            asked = f"{among('ord', some)} and {state.passages}"
            for row in self._passages(asked, ["row", "ord", "start", "stop", "section", "key"]):
                passages.setdefault(int(row["ord"]), []).append(row)
        texts = self._articles_of([row for id in wanted for row in revisions[id].values()])
        moved = self._moved(ords)
        vectors = self._cached({str(row["key"]) for some in passages.values() for row in some})
        out = []
        for id in wanted:
            now = current[id]
            cut = sorted(passages.get(int(now["ord"]), ()), key=lambda row: int(row["row"]))
            new = [NewPassage(int(p["start"]), int(p["stop"]), str(p["section"]), bytes.fromhex(p["key"])) for p in cut]
            own = np.array([vectors[str(p["key"])] for p in cut], np.float32).reshape(len(cut), self.fingerprint.dim)
            # A revision that came back has been there before.
            former = {
                str(row["revision"]): texts[ord]
                for ord, row in sorted(revisions[id].items())
                if row["revision"] != now["revision"]
            }
            origin = moved.get(int(now["ord"]), Told.of(now).origin)
            out.append(Kept(texts[int(now["ord"])], tuple(new), own, origin, tuple(former.values())))
        return out

    def _articles_of(self, found: Sequence[Row]) -> dict[int, Article]:
        """Return the articles of some rows with their texts, by ordinal."""
        keys = {
            int(row["ord"]): [rows.body_keys(int(row["ord"]), Told.of(row).parts, which) for which in (0, 1)]
            for row in found
        }
        parts = self._bodies({key for both in keys.values() for some in both for key in some})
        return {
            int(row["ord"]): rows.article(row, *("".join(parts[key] for key in some) for some in keys[int(row["ord"])]))
            for row in found
        }

    def _cached(self, keys: set[str]) -> dict[str, Vector]:
        """Return the vectors that are kept under some keys.  Raises StoreError where one is no more."""
        found: dict[str, Vector] = {}
        cache = builds.cache_of(self._state.build.name, self.fingerprint.dim)
        # Whoever only searches has no use for it.
        self._server.load(cache)
        for some in lists_of(sorted(keys)):
            for row in self._server.rows(cache, among("key", some), ["key", "vector"], self._state.head.stamp):
                found[str(row["key"])] = _numbers(row["vector"])
        if found.keys() != keys:
            raise StoreError("an article was changed while it was read: run the same command again")
        return found

    def sections(self) -> list[str]:
        state = self._state
        if state.sections is None:
            used: dict[str, str] = {}
            noted = self._server.rows(state.build.notes, 'key like "s%"', ["key", "text"], state.head.stamp)
            for key, name in sorted((str(row["key"]), str(row["text"])) for row in noted):
                asked = f'named == "{key[1:]}" and {state.passages}'
                if name and self._server.rows(state.build.passages, asked, ["row"], state.head.stamp, limit=1):
                    used[fold(name)] = min(used.get(fold(name), name), name)
            state.sections = sorted(used.values(), key=fold)
        return list(state.sections)

    def stats(self) -> Stats:
        """Return what the index holds; how many bytes that are, and of how many segments, the server does not tell."""
        state = self._state
        count, stamp = self._server.count, state.head.stamp
        passages = count(state.build.passages, state.passages, stamp)
        return Stats(
            articles=count(state.build.articles, state.articles, stamp),
            passages=passages,
            segments=0,
            tombstones=count(state.build.passages, f"row < {state.head.next_row}", stamp) - passages,
            generation=state.head.generation,
            bytes=0,
            fingerprint=state.head.fingerprint,
        )

    def _passages(self, where: str, fields: list[str]) -> list[Row]:
        return self._server.rows(self._state.build.passages, where, fields, self._state.head.stamp)

    def _articles(self, where: str, name: str | None = None) -> list[Row]:
        fields = ["ord", "revision", "twins", "first", "passages", "said"]
        return self._server.rows(name or self._state.build.articles, where, fields, self._state.head.stamp)

    def _by_ord(self, ords: Sequence[int]) -> Iterator[Row]:
        """Yield the rows of some articles that are of this state."""
        for some in lists_of(ords):
            yield from self._articles(f"{among('ord', some)} and {self._state.articles}")

    def _bodies(self, keys: set[int]) -> dict[int, str]:
        """Return some parts of bodies.  Raises IndexDamaged where one is not there."""
        found: dict[int, str] = {}
        for some in lists_of(sorted(keys)):
            asked, stamp = among("part", some), self._state.head.stamp
            held = self._server.rows(self._state.build.bodies, asked, ["part", "text"], stamp)
            found.update({int(row["part"]): str(row["text"]) for row in held})
        if found.keys() != keys:
            raise IndexDamaged(
                f"index {self._state.build.name!r} in Milvus at {self._server.address} lacks parts of texts: rebuild it"
                " with `rag ingest SOURCE --rebuild`"
            )
        return found


def top(found: Scored, k: int) -> Scored:
    """Return the best k by score, and all that tie with the last of them, ordered by score, then row."""
    scores = np.round(found.scores, 6)
    order = np.lexsort((found.rows, -scores))
    if len(order) > k > 0:
        k = int(np.count_nonzero(scores >= scores[order[k - 1]]))
    return Scored(found.rows[order[:k]], scores[order[:k]])


def _keys_of(span: Row) -> list[int]:
    """Return the keys of the parts of a text that a passage lies in."""
    start, stop = int(span["start"]), int(span["stop"])
    return [int(span["ord"]) * layout.PARTS + n for n in range(start // layout.PART, -(-stop // layout.PART))]


def _numbers(vector: Any) -> npt.NDArray[np.float32]:
    """Return a vector as the server gives it, halves as bytes."""
    numbers: npt.ArrayLike = np.frombuffer(vector, np.float16) if isinstance(vector, bytes) else vector
    return np.array(numbers, np.float32)
