"""Conversations of the chat page, kept in a SQLite file of their own, and what readers thought of their answers.

Each belongs to the bearer of one signed cookie, and no call shows or changes another's.  A turn is kept as the page
drew it, so that it comes back with the same words and the same citations, whatever has become of the articles.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rag.errors import RagError
from rag.intake.text import fold
from rag.to_json import JSON

FILE = "conversations.sqlite"
FORMAT = 1

TITLE = 120
"""Characters of a title."""
PATIENCE = 2.0
"""Seconds to wait for another process that writes."""
TURNS = 500
"""Turns of one conversation; who wants to ask more begins another."""
MEMORY = 12
"""Turns back that a follow-up question may refer to."""
REASON = 2_000
"""Characters that a reader may write about an answer."""

_SCHEMA = """
CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE conversations (
  id TEXT PRIMARY KEY, owner TEXT NOT NULL, title TEXT NOT NULL, changed REAL NOT NULL
) STRICT;
CREATE INDEX by_owner ON conversations (owner, changed DESC);
CREATE TABLE turns (
  conversation TEXT NOT NULL REFERENCES conversations ON DELETE CASCADE, place INTEGER NOT NULL, id TEXT NOT NULL,
  question TEXT NOT NULL, filters TEXT NOT NULL, answer TEXT NOT NULL, drawn TEXT NOT NULL, words TEXT NOT NULL,
  asked REAL NOT NULL, PRIMARY KEY (conversation, place), UNIQUE (conversation, id)
) STRICT;
CREATE TABLE opinions (
  conversation TEXT NOT NULL REFERENCES conversations ON DELETE CASCADE, turn TEXT NOT NULL, sentence INTEGER,
  good INTEGER NOT NULL, reason TEXT NOT NULL, question TEXT NOT NULL, filters TEXT NOT NULL, answer TEXT NOT NULL,
  given REAL NOT NULL
) STRICT;
CREATE UNIQUE INDEX one_opinion ON opinions (conversation, turn, ifnull(sentence, -1));
"""
"""An opinion holds what it is about: who calls an answer bad asks anew, and the turn is gone."""


class NoConversation(RagError, LookupError):
    """There is no such conversation, or it is another's: nobody can tell which."""


class Conversations:
    """What was asked and answered; safe to share between threads, and between processes.

    Raises RagError, from every method, where the file cannot be used; nobody waits for it longer than PATIENCE.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.time) -> None:
        self.path, self._clock = path, clock
        self._lock, self._reading = threading.Lock(), threading.Lock()
        new = not path.exists()
        with self._guarded():
            self._db = _connected(path)
            if (version := self._version()) not in (0, FORMAT):
                raise RagError(f"{path} has format {version}, this release knows {FORMAT}: move it away")
            self._db.execute("PRAGMA journal_mode = wal")
            # A crash may lose the last words said, never the file; and no answer waits for the disk.
            self._db.execute("PRAGMA synchronous = normal")
            if new:
                path.chmod(0o600)
        with self._writing():
            if self._version() == 0:
                for statement in _SCHEMA.split(";\n"):
                    if statement.strip():
                        self._db.execute(statement)
                self._db.execute("INSERT INTO about VALUES ('secret', ?)", (secrets.token_urlsafe(32),))
                self._db.execute(f"PRAGMA user_version = {FORMAT}")
        with self._guarded():
            # Of its own: who reads does not wait for who writes.
            self._reader = _connected(path)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise RagError(
                f"{self.path} cannot be used for conversations ({error}): move it away, or make it writable"
            ) from error

    def _version(self) -> int:
        return int(self._db.execute("PRAGMA user_version").fetchone()[0])

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._guarded():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                # A full disk has ended the transaction already.
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _overwrite(self) -> None:
        """Empty the log, which holds what was deleted; while another process reads from it, a later call does."""
        with self._lock, self._guarded():
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._reading, self._guarded():
            return self._reader.execute(query, values).fetchall()

    @property
    def secret(self) -> str:
        """What cookies are signed with, made with the file."""
        return str(self._rows("SELECT value FROM about WHERE name = 'secret'")[0][0])

    def begin(
        self,
        owner: str,
        id: str,
        turn: str,
        *,
        question: str,
        filters: Mapping[str, Any],
        instead_of: str = "",
        follows: bool = False,
    ) -> None:
        """Keep a question, in a conversation that is begun with it if there is none of that id.

        It takes the place of the turn `instead_of`, if that is there, and of all that came after it.  Until it is
        answered it is kept as one that was stopped.
        Raises NoConversation where the conversation is another's, or not there for a question that `follows` others,
        and RagError where it is full, or has the turn.
        """
        now = self._clock()
        with self._writing() as db:
            found = db.execute("SELECT owner FROM conversations WHERE id = ?", (id,)).fetchone()
            if (found and found[0] != owner) or (follows and not found):
                raise NoConversation("the conversation is not there any more")
            if not found:
                title = _shortened(question)
                db.execute("INSERT INTO conversations VALUES (?, ?, ?, ?)", (id, owner, title, now))
            replaced = db.execute(
                "DELETE FROM turns WHERE conversation = ?1 AND place >="
                " (SELECT place FROM turns WHERE conversation = ?1 AND id = ?2)",
                (id, instead_of),
            ).rowcount
            if db.execute("SELECT 1 FROM turns WHERE conversation = ? AND id = ?", (id, turn)).fetchone():
                raise RagError("this question was sent before: ask it anew")
            (place,) = db.execute(
                "SELECT ifnull(max(place) + 1, 0) FROM turns WHERE conversation = ?", (id,)
            ).fetchone()
            if place >= TURNS:
                raise RagError(f"this conversation has {TURNS} questions: begin another")
            told = (json.dumps(filters), json.dumps({}), json.dumps(stopped(turn)))
            db.execute(
                "INSERT INTO turns VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (id, place, turn, question, *told, fold(question), now),
            )
            db.execute("UPDATE conversations SET changed = ? WHERE id = ?", (now, id))
        if replaced:
            self._overwrite()

    def end(self, owner: str, id: str, turn: str, *, answer: JSON, drawn: JSON) -> None:
        """Keep what came of a question.  Nothing is kept where the question is not there any more, or is another's."""
        with self._writing() as db:
            (question,) = db.execute(
                "SELECT question FROM turns t JOIN conversations c ON c.id = conversation"
                " WHERE conversation = ? AND t.id = ? AND owner = ?",
                (id, turn, owner),
            ).fetchone() or (None,)
            if question is None:
                return
            words = fold(f"{question}\n{answer.get('text', '')}")
            db.execute(
                "UPDATE turns SET answer = ?, drawn = ?, words = ? WHERE conversation = ? AND id = ?",
                (json.dumps(answer), json.dumps(drawn), words, id, turn),
            )

    def history(self, owner: str, id: str, before: str = "") -> list[dict[str, str]]:
        """Return what was said last, oldest first, as messages; nothing for a conversation that is new or another's.

        Of what was said from the turn `before` on, if that is there, nothing is told.
        """
        rows = self._rows(
            "SELECT question, answer FROM turns t JOIN conversations c ON c.id = conversation"
            " WHERE conversation = ?1 AND owner = ?2 AND place <"
            " ifnull((SELECT place FROM turns WHERE conversation = ?1 AND id = ?3), 1e9) ORDER BY place DESC LIMIT ?4",
            id, owner, before, MEMORY,
        )  # fmt: skip
        said = []
        for question, answer in reversed(rows):
            said.append({"role": "user", "content": question})
            if text := json.loads(answer).get("text"):
                said.append({"role": "assistant", "content": str(text)})
        return said

    def listed(self, owner: str, words: str = "", most: int = 200) -> list[JSON]:
        """Return somebody's conversations, the one changed last first; with `words` those that have them all."""
        wanted = fold(words).split()[:20]
        rows = self._rows(
            "SELECT id, title, changed, (SELECT count(*) FROM turns WHERE conversation = conversations.id)"
            " FROM conversations"
            " WHERE owner = ? ORDER BY changed DESC, rowid DESC",
            owner,
        )
        found = [{"id": i, "title": title, "changed": changed, "turns": n} for i, title, changed, n in rows]
        if wanted:
            found = [c for c in found if self._has(c, wanted)]
        return found[:most]

    def _has(self, conversation: JSON, wanted: Sequence[str]) -> bool:
        said = [words for (words,) in self._rows("SELECT words FROM turns WHERE conversation = ?", conversation["id"])]
        whole = "\n".join([fold(conversation["title"]), *said])
        return all(w in whole for w in wanted)

    def opened(self, owner: str, id: str) -> JSON:
        """Return a conversation with its turns as they were drawn.  Raises NoConversation."""
        title = self._title(owner, id)
        rows = self._rows("SELECT id, question, filters, drawn FROM turns WHERE conversation = ? ORDER BY place", id)
        opinions: dict[str, list[JSON]] = {}
        for turn, sentence, good, reason in self._rows(
            "SELECT turn, sentence, good, reason FROM opinions WHERE conversation = ?", id
        ):
            opinions.setdefault(turn, []).append({"sentence": sentence, "good": bool(good), "reason": reason})
        turns = [
            {
                "id": turn,
                "question": question,
                "filters": json.loads(filters),
                "drawn": json.loads(drawn),
                "opinions": opinions.get(turn, []),
            }
            for turn, question, filters, drawn in rows
        ]
        return {"id": id, "title": title, "turns": turns}

    def turn(self, owner: str, id: str, turn: str) -> JSON:
        """Return one question and what was drawn of its answer.  Raises NoConversation."""
        self._title(owner, id)
        rows = self._rows("SELECT question, drawn FROM turns WHERE conversation = ? AND id = ?", id, turn)
        if not rows:
            raise NoConversation("there is no such answer")
        return {"question": rows[0][0], "drawn": json.loads(rows[0][1])}

    def _title(self, owner: str, id: str) -> str:
        rows = self._rows("SELECT title FROM conversations WHERE id = ? AND owner = ?", id, owner)
        if not rows:
            raise NoConversation("there is no such conversation")
        return str(rows[0][0])

    def rename(self, owner: str, id: str, title: str) -> str:
        """Give a conversation another title and return it as it is kept.  Raises NoConversation, RagError for none."""
        kept = _shortened(title)
        if not kept:
            raise RagError("a conversation needs a title: write a few words")
        with self._writing() as db:
            changed = db.execute("UPDATE conversations SET title = ? WHERE id = ? AND owner = ?", (kept, id, owner))
            if not changed.rowcount:
                raise NoConversation("there is no such conversation")
        return kept

    def delete(self, owner: str, id: str) -> None:
        """Delete a conversation with all that was said in it.  Raises NoConversation."""
        with self._writing() as db:
            gone = db.execute("DELETE FROM conversations WHERE id = ? AND owner = ?", (id, owner))
            if not gone.rowcount:
                raise NoConversation("there is no such conversation")
        self._overwrite()

    def judge(
        self, owner: str, id: str, turn: str, *, sentence: int | None, good: bool | None, reason: str | None = None
    ) -> None:
        """Keep what a reader thinks of an answer or a sentence of it; None takes it back.  A reason given before
        stays with the same opinion.

        Raises NoConversation where the answer, or that sentence of it, is not there.
        """
        self._title(owner, id)
        with self._writing() as db:
            found = db.execute(
                "SELECT question, filters, answer FROM turns WHERE conversation = ? AND id = ?", (id, turn)
            ).fetchone()
            if not found or (sentence is not None and sentence >= len(json.loads(found[2]).get("sentences", ()))):
                raise NoConversation("there is no such answer")
            which = (id, turn, sentence)
            at = "conversation = ? AND turn = ? AND sentence IS ?"
            before = db.execute(f"SELECT reason FROM opinions WHERE {at} AND good = ?", (*which, good)).fetchone()
            db.execute(f"DELETE FROM opinions WHERE {at}", which)
            if good is not None:
                told = " ".join((reason or "").split())[:REASON]
                if reason is None and before:
                    told = before[0]
                db.execute(
                    "INSERT INTO opinions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (id, turn, sentence, int(good), told, *found, self._clock()),
                )
        if good is None:
            self._overwrite()

    def opinions(self) -> Iterator[JSON]:
        """Yield what all readers thought, oldest first, each with the question, its filters, and the answer."""
        for turn, sentence, good, reason, given, question, filters, answer in self._rows(
            "SELECT conversation || '/' || turn, sentence, good, reason, given, question, filters, answer FROM opinions"
            " ORDER BY given, rowid"
        ):
            yield {
                "turn": turn,
                "question": question,
                "filters": json.loads(filters),
                "answer": json.loads(answer),
                "sentence": sentence,
                "good": bool(good),
                "reason": reason,
                "given": given,
            }

    def close(self) -> None:
        """Close the file."""
        with self._lock, self._reading:
            self._reader.close()
            self._db.close()


def _connected(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=PATIENCE)
    # What is deleted is overwritten, also in the log.
    db.executescript("PRAGMA secure_delete = on; PRAGMA foreign_keys = on; PRAGMA trusted_schema = off;")
    return db


def stopped(turn: str) -> JSON:
    """Return what is drawn of a turn that nothing came of."""
    return {"turn": turn, "pieces": [], "citations": [], "end": {"outcome": "stopped"}}


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= TITLE else f"{line[: TITLE - 1].rstrip()}…"
