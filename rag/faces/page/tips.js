// Tooltips: on hover and on focus, kept while the pointer is over them, put away by Escape.

const turns = find('.turns');
let tip = null;

function showTip(button) {
  if (tip === button.nextSibling) return;
  hideTip();
  tip = button.nextSibling;
  tip.classList.add('up');
  const at = button.getBoundingClientRect();
  const size = tip.getBoundingClientRect();
  const left = Math.max(8, Math.min(at.left + at.width / 2 - size.width / 2, document.documentElement.clientWidth - size.width - 8));
  tip.style.left = left + 'px';
  tip.style.top = (at.top > size.height + 12 ? at.top - size.height - 6 : at.bottom + 6) + 'px';
}

function hideTip() {
  if (tip) tip.classList.remove('up');
  tip = null;
}

turns.addEventListener('pointerover', (event) => {
  if (event.pointerType === 'touch') return;
  const button = event.target.closest('.cite');
  if (button) showTip(button);
  else if (tip && !tip.contains(event.target) && tip.previousSibling !== document.activeElement) hideTip();
});
turns.addEventListener('pointerleave', hideTip);
turns.addEventListener('focusin', (event) => {
  if (event.target.matches('.cite:focus-visible')) showTip(event.target);
});
turns.addEventListener('focusout', hideTip);
window.addEventListener('scroll', hideTip, { passive: true });
document.addEventListener('keydown', (event) => {
  if (event.key !== 'Escape' || !tip) return;
  // One Escape puts away one thing: the tooltip first, then the article.
  event.stopImmediatePropagation();
  event.preventDefault();
  hideTip();
}, true);
