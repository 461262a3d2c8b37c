"""What the store is known to do wrong: told apart from what is new, and to be taken out of here once it is mended."""

from __future__ import annotations

import re

from torture.cases import Outcome

KNOWN: list[tuple[str, str, str]] = [
    (
        ".*",
        r"after the next writer: (a\d{5}: [^;]* in (catalog|vectors)\.sqlite(; )?)+( \(the writer ended so: .*\))?",
        "removed texts and keys stay in free pages, unless SQLite was built to overwrite what is deleted",
    ),
    (
        ".*",
        r"after the next writer: lexical-\d+/\S+ is named by no commit.*",
        "seldom, files of the lexical index stay for good, as if a merge went on when its writer was closed",
    ),
    (
        "power",
        r"a new reader: Wrong: the word \w+ is found in \[.*",
        "the lexical index renames its meta.json and nobody syncs the folder: its words are those before the commit",
    ),
    (
        "power",
        r"a new reader: (NoIndex: no index in|IndexDamaged: index \S+ names missing files|Damaged: lexical index) .*",
        "the folder of a new index, or one within it, is not synced in the folder above",
    ),
    (
        "refused|full",
        r"the writer's error is not one of ours in one line: OSError: \[Errno 28\] .*lock\.py.*",
        "no space for writer.json is an OSError",
    ),
    (
        "refused|full",
        r"the writer's error does not say that space is missing: .*",
        "no space for the lexical index, or at the catalog's COMMIT, is called damage, with the advice to rebuild",
    ),
    (
        "damaged",
        r"catalog\.sqlite bit .*: (Wrong|JSONDecodeError|ValueError|TypeError|IndexDamaged): .*",
        "a bit turned over in the catalog goes unnoticed and an article reads otherwise, or is no error of ours",
    ),
    (
        "damaged",
        r"vectors\.sqlite .* names missing files: .*",
        "a key spoiled in vectors.sqlite is told as missing files, without their name",
    ),
    (
        "damaged",
        r"lexical/\*\.(term|idx|pos|fast|fieldnorm|store|del) .*: Wrong: .*",
        "a bit turned over in a file of the lexical index goes unnoticed, and words are not found",
    ),
    (
        "damaged",
        r"lexical/\*\.fast bit .*TypeError: int\(\) argument must be .*",
        "a damaged column of rows in the lexical index is a TypeError",
    ),
]
"""(part, pattern of the whole problem, what it is)."""


def known(outcome: Outcome) -> str:
    """Return what a failure is known as, or nothing."""
    for part, pattern, what in KNOWN:
        if re.fullmatch(part, outcome.case.part) and re.fullmatch(pattern, outcome.problem, re.DOTALL):
            return what
    return ""
