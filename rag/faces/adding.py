"""Articles that a reader brings in through the page: looked at first, then added.

What is uploaded waits in memory as the articles that were read from it, each reader's apart, until it is added or
put away.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rag import keeping
from rag.engine import Engine
from rag.errors import BadSource, RagError
from rag.faces.uploads import Upload, page_name, pasted, read_upload
from rag.faces.view import head, snippet
from rag.to_json import JSON, to_dict
from rag.types import Article, Progress

log = logging.getLogger(__name__)

DRAFTS = 16
"""Readers who may have something waiting at once; of more the oldest is put away."""
PAGES = 50
"""Pages of one reader that may wait together."""
BYTES = 64 * 2**20
"""Bytes of them all."""
WAITING = 256 * 2**20
"""Bytes of all readers' together; over that the oldest are put away."""
SHOWN = 50
"""Articles of a draft that are shown."""
RUNNING = 8
"""Jobs on their way or waiting for their turn at once."""
JOBS = 32
"""Finished jobs that can still be asked about."""


class NoJob(RagError, LookupError):
    """There is no such job, or not any more."""


@dataclass
class Job:
    """Articles on their way into the index."""

    id: str
    reader: str
    articles: int
    passages: int
    state: str = "running"  # running, done, stopped, failed
    progress: Progress = field(default_factory=lambda: Progress(0, 0, 0, 0.0))
    report: JSON | None = None
    message: str = ""
    stop: bool = False

    def value(self) -> JSON:
        """Return how far it has come: a share of the whole, and the seconds that are left at this rate."""
        p = self.progress
        share = max(p.done / max(self.articles, 1), min(p.embedded / max(self.passages, 1), 0.99))
        share = 1.0 if self.state == "done" else min(share, 1.0)
        left = p.seconds / share - p.seconds if share > 0.02 and self.state == "running" else None
        return {
            "id": self.id,
            "state": self.state,
            "share": share,
            "articles": self.articles,
            "done": p.done,
            "embedded": p.embedded,
            "rate": p.embedded / p.seconds if p.seconds else None,
            "left": left,
            "report": self.report,
            "message": self.message,
        }


class Adding:
    """What readers bring into one index; safe to share between threads."""

    def __init__(self, engine: Engine, index: Path) -> None:
        self._engine, self._index = engine, index
        self._lock = threading.Lock()
        # An index has one writer; jobs take their turns.
        self._turn = threading.Lock()
        self._drafts: OrderedDict[str, dict[str, Upload]] = OrderedDict()
        self._jobs: OrderedDict[str, Job] = OrderedDict()

    @property
    def most(self) -> int:
        """Bytes of one page, at most."""
        return min(self._engine.settings.limits.page_bytes, BYTES)

    # What waits to be added

    def take(self, reader: str, name: str, data: bytes) -> JSON:
        """Read an uploaded page into a reader's draft and return that.  Raises BadSource.

        A page of the same name as one before takes its place.
        """
        return self._take(reader, page_name(name), data)

    def paste(self, reader: str, text: str, title: str = "") -> JSON:
        """Read pasted text into a reader's draft, as a page of text, and return the draft.  Raises BadSource."""
        return self._take(reader, *pasted(text, title))

    def _take(self, reader: str, name: str, data: bytes) -> JSON:
        with self._lock:
            self._check(self._drafts.get(reader, {}), name, len(data))
        found = read_upload(self._engine, name, data)
        with self._lock:
            draft = dict(self._drafts.get(reader, {}))
            self._check(draft, name, len(data))
            self._drafts[reader] = {**draft, name: found}
            self._drafts.move_to_end(reader)
            while len(self._drafts) > DRAFTS or self._waiting() > WAITING:
                self._drafts.popitem(last=False)
        return self.draft(reader)

    def _waiting(self) -> int:
        return sum(page.bytes for draft in self._drafts.values() for page in draft.values())

    def _check(self, draft: Mapping[str, Upload], name: str, size: int) -> None:
        """Raise BadSource when a draft has no room for a page."""
        others = [r for n, r in draft.items() if n != name]
        if len(others) >= PAGES:
            raise BadSource(f"{PAGES} pages wait already: add these first, or ingest the folder with `rag ingest`")
        if sum(r.bytes for r in others) + size > BYTES:
            raise BadSource(
                f"{name} and what waits already are over {BYTES // 2**20} MB: add that first, or use `rag ingest`"
            )

    def draft(self, reader: str) -> JSON:
        """Return what a reader has waiting, and the jobs that are under way for them, oldest first."""
        with self._lock:
            draft = dict(self._drafts.get(reader, {}))
            running = [j for j in self._jobs.values() if j.reader == reader and j.state == "running"]
        listed = [(name, article, n) for name, page in draft.items() for article, n in page.articles]
        with self._engine.view() as view:
            current = {article.id: view.current(article.id) for _, article, _ in listed}
        return {
            "pages": list(draft),
            "jobs": [j.value() for j in running],
            "count": len(listed),
            "passages": sum(n for *_, n in listed),
            "fresh": sum(current[article.id] != article.revision for _, article, _ in listed),
            "articles": [_shown(name, article, n, current[article.id]) for name, article, n in listed[:SHOWN]],
            "failed": [{"source": f.source, "reason": f.reason} for page in draft.values() for f in page.failed],
        }

    def leave_out(self, reader: str, id: str) -> JSON:
        """Take an article out of a reader's draft and return the draft."""
        with self._lock:
            draft = self._drafts.get(reader, {})
            for name, page in list(draft.items()):
                left = [of for of in page.articles if of[0].id != id]
                if not left and not page.failed:
                    del draft[name]
                else:
                    draft[name] = Upload(left, page.failed, page.bytes)
        return self.draft(reader)

    def put_away(self, reader: str) -> JSON:
        """Forget a reader's draft."""
        with self._lock:
            self._drafts.pop(reader, None)
        return self.draft(reader)

    # Adding

    def add(self, reader: str) -> JSON:
        """Begin to add what a reader has waiting, and return the job.  Raises BadSource where nothing waits."""
        with self._lock:
            draft = self._drafts.get(reader, {})
            listed = [of for page in draft.values() for of in page.articles]
            if not listed:
                raise BadSource("nothing waits to be added: choose a file, or paste some text")
            if sum(job.state == "running" for job in self._jobs.values()) >= RUNNING:
                raise BadSource(f"{RUNNING} additions are on their way: add these when one of them is done")
            del self._drafts[reader]
            job = Job(secrets.token_urlsafe(12), reader, len(listed), sum(n for _, n in listed))
            self._jobs[job.id] = job
            over = [id for id, old in self._jobs.items() if old.state != "running"]
            for id in over[: max(len(over) - JOBS, 0)]:
                del self._jobs[id]
        threading.Thread(target=self._run, args=(job, reader, draft), name="footnote-adding", daemon=True).start()
        return job.value()

    def _run(self, job: Job, reader: str, draft: dict[str, Upload]) -> None:
        def on_progress(progress: Progress) -> None:
            job.progress = progress
            if job.stop:
                raise KeyboardInterrupt

        state = "failed"
        try:
            with self._turn:
                on_progress(job.progress)
                report = keeping.ingest(
                    [of[0] for page in draft.values() for of in page.articles],
                    self._index,
                    self._engine.settings,
                    embedder=self._engine.embedder,
                    on_progress=on_progress,
                )
            job.report, state = to_dict(report), "done"
        except KeyboardInterrupt:
            job.message, state = "Stopped. What was complete by then is kept, the rest waits to be added.", "stopped"
        except RagError as error:
            job.message = str(error)
        except Exception:
            log.exception("articles could not be added")
            job.message = "Something went wrong inside Footnote. The server's log says what."
        if state != "done":
            with self._lock:
                self._drafts[reader] = {**draft, **self._drafts.get(reader, {})}
        job.state = state

    def job(self, id: str, *, stop: bool = False) -> JSON:
        """Return how far a job has come, telling it to stop if asked to.  Raises NoJob."""
        with self._lock:
            job = self._jobs.get(id)
        if job is None:
            raise NoJob("nothing is known of this any more: the list of articles shows what was added")
        job.stop = job.stop or stop
        return job.value()


def _shown(name: str, article: Article, passages: int, current: str | None) -> JSON:
    """Return an article that waits, as it is to be looked at; `current` is the revision that the index has of it."""
    state = "new" if current is None else "unchanged" if current == article.revision else "changed"
    return {
        **head(article.head),
        "id": article.id,
        "made": article.title_made,
        "page": name,
        "words": len(article.text.split()),
        "passages": passages,
        "opening": snippet(article.text),
        "state": state,
    }
