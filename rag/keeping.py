"""Keeping an index: articles brought in, one erased, damage mended, everything built anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rag.engine import model_of
from rag.errors import IndexDamaged, IndexMismatch, InvalidSettings, NoIndex
from rag.protocols import Embedder
from rag.settings import Settings
from rag.store import places
from rag.types import Article, Fingerprint, Progress, Report, Stats, Steps, With

if TYPE_CHECKING:
    from rag.intake.steps import Work
    from rag.store.check import Checked


def ingest(
    sources: Iterable[str | Path | Article],
    index: str | Path,
    settings: Settings,
    *,
    prune: bool = False,
    rebuild: bool = False,
    dry_run: bool = False,
    with_: With | None = None,
    embedder: Embedder | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Report:
    """Bring articles into an index, made if there is none, and return what was done.  See `rag.ingest`.

    An `embedder` that is loaded already saves loading it again.
    """
    from rag.intake import items, pipeline

    found = items.find(sources)
    model = embedder or model_of(settings)
    place = places.place(index, settings.store)
    if not embedder and not settings.model.precision and not rebuild and place.exists():
        # Whatever this machine would choose, an index goes on as it was begun.
        with closing(place.open()) as there:
            recorded = there.fingerprint.model_digest
        model = model_of(settings, precision=recorded.partition("-")[2] or "float32")
    wanted = Fingerprint(
        model.name,
        model.digest,
        model.dim,
        model.max_tokens,
        min(settings.passages.tokens, model.max_tokens),
        settings.passages.overlap,
        settings.passages.context,
        settings.passages.title,
    )
    if dry_run and not place.exists():
        with _work(with_, model, settings) as work:
            return pipeline.ingest(found, None, model, settings, dry_run=True, on_progress=on_progress, work=work)
    store = place.anew(wanted) if rebuild and not dry_run else place.create(wanted)
    try:
        if not rebuild:
            _same(store.fingerprint, wanted, place.name)
        with (
            store.writer(wanted if rebuild and not dry_run else None) as transaction,
            _work(with_, model, settings) as work,
        ):
            report = pipeline.ingest(
                found,
                transaction,
                model,
                settings,
                prune=prune,
                all_or_nothing=rebuild,
                dry_run=dry_run,
                on_progress=on_progress,
                work=work,
            )
        with store.view() as now:
            stats = now.stats()
        return replace(report, articles=stats.articles, passages=stats.passages)
    finally:
        store.close()


def _work(with_: With | None, model: Embedder, settings: Settings) -> AbstractContextManager[Work | None]:
    """Give what does the steps of an ingest, None for this process."""
    if with_ is None:
        return nullcontext()
    if with_ != "ray":
        raise InvalidSettings(f"with_={with_!r} is none of the ways to spread an ingest: give 'ray'")
    from rag.embed.model import Model
    from rag.spread.spread import spread

    if not isinstance(model, Model):
        raise InvalidSettings(f"the embedder {model.name!r} cannot be sent to workers: name a model in the settings")
    return spread(model, settings)


def remove(id: str, index: str | Path, settings: Settings) -> None:
    """Erase an article from an index, all its revisions and vectors.  Raises UnknownArticle."""
    store = places.place(index, settings.store).open()
    try:
        with store.writer() as transaction:
            transaction.remove(id)
    finally:
        store.close()


def backup(
    file: str | Path, index: str | Path, settings: Settings, *, on_progress: Callable[[Steps], None] | None = None
) -> int:
    """Write an index into one file and return its size in bytes.  See `rag.backup`."""
    from rag.store.backup import save

    return save(places.folder(index, settings.store, "a backup"), file, on_progress=on_progress)


def restore(
    file: str | Path,
    index: str | Path,
    settings: Settings,
    *,
    replace: bool = False,
    on_progress: Callable[[Steps], None] | None = None,
) -> Stats:
    """Read a backup into an index and return what that holds then.  See `rag.restore`."""
    from rag.store import restore

    folder = places.folder(index, settings.store, "a restore")
    return restore.restore(file, folder, replace=replace, on_progress=on_progress)


def repair(
    index: str | Path,
    settings: Settings,
    *,
    embedder: Embedder | None = None,
    on_progress: Callable[[Steps], None] | None = None,
) -> tuple[list[str], Checked]:
    """Mend an index and return what was done, in lines, and what the index is like then.

    What is derived is made anew; only passages whose vectors are lost are embedded.  Interrupted, it has done nothing
    or a part, and goes on the next time.  Raises NoIndex, IndexLocked, IndexReadOnly, ModelError.
    """
    from rag.intake import again
    from rag.store import local, mend, sqlite
    from rag.store.check import check
    from rag.store.faults import Pace
    from rag.store.lock import locked

    folder = sqlite.folder_of(places.folder(index, settings.store, "mending"))
    if not local.LocalStore.exists(folder):
        return [], check(folder, on_progress)
    with suppress(IndexDamaged, NoIndex):  # the check tells
        local.LocalStore(folder).close()
    with locked(folder):
        before = check(folder, on_progress)
        kinds = {fault.mend for fault in before.faults}
        if not kinds or before.stats is None:
            return [], before
        made, pace = before.stats.fingerprint, Pace(on_progress)
        if "vectors" in kinds:
            mend.mend_vectors(folder, made.dim)
        done, embedded = [], 0
        with closing(mend.Mending(folder)) as t:
            t.begin(before.faults)
            if "vectors" in kinds:
                t.forget_spoiled()
                pace.begin("embed again", before.stats.passages, "passages")
                embedded, unknown = again.embed_lost(t, embedder or model_of(settings, made), made, pace)
                done += [
                    f"vectors of article {id!r} are lost; it is taken out: ingest it again"
                    for id in t.withdraw(sorted(unknown))
                ]
            if "derived" in kinds:
                t.derive()
                done.append("everything derived is made anew")
            else:
                if "words" in kinds:
                    t.derive_words()
                    done.append("the lexical index is made anew")
                if "segments" in kinds:
                    t.derive_segments()
                    done.append("the segments are made anew")
            for fault in before.faults:
                if fault.mend == "passages":
                    embedder = embedder or model_of(settings, made)
                    embedded += again.cut_again(t, fault.article, embedder, made)
                    done.append(f"{fault.what}; it is cut again")
                elif fault.mend == "article":
                    done.append(f"{fault.what}; it is taken out: ingest it again")
            t.commit()
            t.settle()
        if kinds & {"vectors", "passages"}:
            done.append(f"{embedded:,} texts embedded again")
        return done, check(folder, on_progress)


def _same(recorded: Fingerprint, wanted: Fingerprint, index: str) -> None:
    """Raise IndexMismatch naming the first thing that differs."""
    (weights, _, precision), (ours, _, asked_for) = (f.model_digest.partition("-") for f in (recorded, wanted))
    if recorded.model == wanted.model and weights == ours and precision != asked_for:
        raise IndexMismatch(
            f"index {index} holds vectors in {precision or 'float32'}, the settings say "
            f"{asked_for or 'float32'}: unset model.precision, or build anew with `rag ingest SOURCE --rebuild`"
        )
    for name, says in asdict(recorded).items():
        asked = asdict(wanted)[name]
        if says != asked:
            raise IndexMismatch(
                f"index {index} was built with {name}={says!r}, the settings say {asked!r}: "
                "change the settings back, or build anew with `rag ingest SOURCE --rebuild`"
            )
