// Tooltips: on hover and on focus, kept while the pointer is over them, put away by Escape.

const STEPS = new Set(['Tab', 'j', 'k']);

const LEAVING = 250;

export function tips(turns, top) {
  let tip = null;
  let leaving = null;
  // The key that moved the focus: one that comes back from an article would only cover what lies above it.
  let key = '';

  function show(button) {
    clearTimeout(leaving);
    if (tip === button.nextSibling) return;
    hide();
    tip = button.nextSibling;
    tip.classList.add('up');
    const at = button.getBoundingClientRect();
    const size = tip.getBoundingClientRect();
    const room = document.documentElement.clientWidth - size.width - 8;
    const left = Math.max(8, Math.min(at.left + at.width / 2 - size.width / 2, room));
    tip.style.left = left + 'px';
    // Above its number where that leaves the top of the page free.
    const above = at.top - size.height - 6;
    tip.style.top = (above > top.getBoundingClientRect().bottom ? above : at.bottom + 6) + 'px';
  }

  // Time to move from a number to its tip.
  function leave() {
    clearTimeout(leaving);
    leaving = setTimeout(hide, LEAVING);
  }

  function hide() {
    clearTimeout(leaving);
    if (tip) tip.classList.remove('up');
    tip = null;
  }

  turns.addEventListener('pointerover', (event) => {
    if (event.pointerType === 'touch') return;
    const button = event.target.closest('.cite');
    if (button) show(button);
    else if (tip && tip.contains(event.target)) clearTimeout(leaving);
    else if (tip && tip.previousSibling !== document.activeElement) leave();
  });
  turns.addEventListener('pointerleave', leave);
  turns.addEventListener('focusin', (event) => {
    if (event.target.matches('.cite:focus-visible') && STEPS.has(key)) show(event.target);
  });
  turns.addEventListener('focusout', hide);
  window.addEventListener('scroll', hide, { passive: true });
  document.addEventListener('pointerdown', () => (key = ''), true);
  document.addEventListener(
    'keydown',
    (event) => {
      key = event.key;
      if (event.key !== 'Escape' || !tip) return;
      // One Escape puts away one thing: the tooltip first, then the article.
      event.stopImmediatePropagation();
      event.preventDefault();
      hide();
    },
    true,
  );
  return { hide };
}
