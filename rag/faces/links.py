"""Addresses on the web that a reader may be sent to, and at the words that were quoted there."""

from __future__ import annotations

from urllib.parse import quote as escaped
from urllib.parse import urlsplit

FRAGMENT = 12
"""Words of a quote that an address names whole; of a longer one it names the first and the last."""

_ESCAPED = {ord(c): f"%{ord(c):02X}" for c in '"<>\\^`{|} ' + "".join(map(chr, [*range(32), 127]))}
"""Characters that stand in no address (RFC 3986, 2)."""


def web_address(url: str | None) -> str | None:
    """Return an address that a reader may be sent to, or None.

    What no address may hold is escaped, since it may come to stand between quotation marks or brackets.

    >>> web_address("https://example.org/a>b"), web_address("javascript:alert(1)")
    ('https://example.org/a%3Eb', None)
    """
    if not url:
        return None
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return url.translate(_ESCAPED) if parts.scheme in ("http", "https") and parts.hostname else None


def fragment(url: str | None, quote: str) -> str | None:
    """Return an address with the words that a browser is to show there (wicg.github.io/scroll-to-text-fragment).

    >>> fragment("https://example.org/a", "In 1911, the town-council bought")
    'https://example.org/a#:~:text=In%201911%2C%20the%20town%2Dcouncil%20bought'
    """
    words = quote.split()
    if not url or not words:
        return url
    ends = [words] if len(words) <= FRAGMENT else [words[: FRAGMENT // 3], words[-FRAGMENT // 3 :]]
    text = ",".join(escaped(" ".join(end), safe="").replace("-", "%2D") for end in ends)
    return f"{url}{'' if '#' in url else '#'}:~:text={text}"
