"""The page's own files: its template with the interface's texts filled in, its scripts, its style.

Scripts are modules of their own, served below an address with a digest of them all, so that a browser keeps them and
never mixes those of two releases.  All texts of the interface are in page/texts.json.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from html import escape
from importlib import resources
from typing import Any
from urllib.parse import quote

KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
TEXTS = "texts.json"
EARLY = "early.js"
"""What runs before anything is drawn; the other scripts are modules."""

_GAP = re.compile(r"\[\[([a-z0-9_]+)\]\]")
# Gradio compiles a template as JavaScript's and fills its own gaps.
_COMPILED = str.maketrans({c: f"&#{ord(c)};" for c in "`$\\{}"})


@cache
def asset(name: str) -> str:
    """Return one of the page's files."""
    return (resources.files("rag.faces") / "page" / name).read_text("utf-8")


@cache
def names() -> tuple[str, ...]:
    """Return the names of the page's files."""
    return tuple(sorted(f.name for f in (resources.files("rag.faces") / "page").iterdir() if f.is_file()))


@cache
def digest() -> str:
    """Return a digest of all the page's files."""
    whole = hashlib.sha256()
    for name in names():
        whole.update(f"{name}\n{asset(name)}\n".encode())
    return whole.hexdigest()[:12]


@cache
def texts() -> Mapping[str, Any]:
    """Return the interface's texts; one that counts something has a form for each plural category of its language."""
    found: Mapping[str, Any] = json.loads(asset(TEXTS))
    return found


def served(name: str) -> tuple[str, str] | None:
    """Return a file that a browser may ask for, and its type."""
    if name == "texts.js":
        return f"export default {json.dumps(texts(), ensure_ascii=False)};\n", KINDS[".js"]
    kind = KINDS.get(name[name.rfind(".") :])
    return (asset(name), kind) if kind and name in names() else None


def template() -> str:
    """Return the page's template."""

    def text(gap: re.Match[str]) -> str:
        return escape(str(texts()[gap[1]])).translate(_COMPILED)

    return _GAP.sub(text, asset("page.html"))


def script() -> str:
    """Return what starts the page's scripts: Gradio hands its own means over to them, and looks here for events."""
    return (
        "const tell = { ask: (data) => trigger('ask', data), halt: () => trigger('halt') };"
        f"import(new URL('page/files/{digest()}/main.js', document.baseURI))"
        ".then(({ start }) => start({ element, props, tell, watch }));"
    )


def head() -> str:
    """Return what the page needs in its head.  Gradio's own place for styles breaks rules inside @media."""
    icon = quote(asset("icon.svg"))
    modules = [name for name in (*names(), "texts.js") if name.endswith(".js") and name != EARLY]
    return "".join(
        (
            f"<style>{asset('style.css')}</style><script>{asset(EARLY)}</script>",
            f'<link rel="icon" type="image/svg+xml" href="data:image/svg+xml,{icon}">',
            # They are here when Gradio has drawn the page, so that nobody presses what does nothing yet.
            *(f'<link rel="modulepreload" href="page/files/{digest()}/{name}">' for name in modules),
        )
    )
