"""What is measured of a page as it stands: what sticks out, is cut off, overlaps, or is too small for a finger."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Locator, Page

BESIDE = 1000
"""From this width on an article stands beside the conversation."""
FINGER = 24
"""Pixels that a finger needs."""

# Words that cannot be read: beyond the window, or cut off by a box that neither scrolls nor shows that it cuts.
CUT = r"""() => {
  const cut = [], words = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const above = [...document.querySelectorAll('dialog:modal')].pop();
  while (words.nextNode()) {
    const node = words.currentNode, box = node.parentElement;
    if (!node.data.trim() || box.closest('.aside, .fresh, .tip:not(.up), script, style, datalist, select')) continue;
    if (!box.checkVisibility({ visibilityProperty: true }) || (above && !above.contains(box))) continue;
    let left = 0, right = innerWidth, shown = false;
    for (let one = box; one && one !== document.body; one = one.parentElement) {
      const style = getComputedStyle(one), inside = one.getBoundingClientRect();
      shown ||= style.textOverflow === 'ellipsis';
      if (style.overflowX === 'visible') continue;
      [left, right] = [Math.max(left, inside.left), Math.min(right, inside.right)];
    }
    if (shown) continue;
    const range = document.createRange();
    for (const word of node.data.matchAll(/\S+/g)) {
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      for (const at of range.getClientRects())
        if (at.left < left - 1 || at.right > right + 1) cut.push(box.className + ': ' + word[0]);
    }
  }
  return [...new Set(cut)];
}"""

# What is pressed and too small for a finger.  A label is pressed for its box.
SMALL = """(least) => {
  const small = [], above = [...document.querySelectorAll('dialog:modal')].pop();
  for (const one of (above || document).querySelectorAll('button, a[href], summary, input, select, textarea')) {
    const target = one.type === 'checkbox' ? one.closest('label') : one;
    if (!one.checkVisibility({ visibilityProperty: true }) || one.matches('.aside, :disabled')) continue;
    const { width, height } = target.getBoundingClientRect();
    const named = `${one.className || one.localName} ${one.textContent.slice(0, 20)}`;
    if (Math.min(width, height) < least - .5) small.push(`${named}: ${width.toFixed(1)}x${height.toFixed(1)}`);
  }
  return [...new Set(small)];
}"""


def under_a_finger(width: int) -> dict[str, Any]:
    """Return the options of a visit on a screen so wide that is touched."""
    return {"viewport": {"width": width, "height": 800}, "has_touch": True, "is_mobile": True}


def tried(page: Page, width: int, view: str) -> None:
    """Look at what is shown now."""
    wide = "all => all.filter(d => d.scrollWidth > d.clientWidth).map(d => d.className)"
    wrong = {
        "widths": {*page.evaluate("[innerWidth, document.documentElement.scrollWidth]")} - {width},
        "cut": page.evaluate(CUT),
        "small": page.evaluate(SMALL, FINGER),
        "wide": page.locator("dialog[open], dialog[open] .text").evaluate_all(wide),
    }
    assert not any(wrong.values()), (view, wrong)


def sides(box: Locator) -> tuple[float, float]:
    """Return where a box begins and ends."""
    at = box.bounding_box()
    assert at is not None
    return at["x"], at["x"] + at["width"]


def apart(one: Locator, other: Locator) -> bool:
    """Whether two boxes stand side by side."""
    (left, right), (begin, end) = sides(one), sides(other)
    return right <= begin or end <= left
