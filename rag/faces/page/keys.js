// Keys that work wherever the reader is, but not while something is written. They can be switched off: what listens to
// a voice types letters that nobody pressed.

export function keys({ element, focus, step }) {
  const help = element.querySelector('dialog.keys');
  const open = () => {
    if (!help.open) help.showModal();
  };
  const acts = { '/': focus, j: () => step(1), k: () => step(-1), '?': open };

  const on = help.querySelector('input');
  try {
    on.checked = localStorage.getItem('footnote-keys') !== 'off';
  } catch {
    // Where nothing may be stored they are on.
  }
  on.addEventListener('change', () => {
    try {
      localStorage.setItem('footnote-keys', on.checked ? 'on' : 'off');
    } catch {
      // It holds until the page is left, then.
    }
  });

  document.addEventListener('keydown', (event) => {
    if (!on.checked || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
    const { target } = event;
    if (target.closest('input, textarea, select, [contenteditable]')) return;
    const act = acts[event.key];
    const above = element.querySelector('dialog:modal');
    // What lies under a dialog does not move; the article's own steps do.
    if (!act || (above && !(above.matches('.article') && 'jk'.includes(event.key)))) return;
    event.preventDefault();
    act();
  });
  element.querySelector('.top .help').addEventListener('click', open);
  help.querySelector('.close').addEventListener('click', () => help.close());
}
