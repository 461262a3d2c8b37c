// Short notes at the foot of the page, some with a way back, which has the focus and stays as long as it has; and what
// is told to ears alone.
import { button, make } from './dom.js';

const SECONDS = 5;

export function notes({ element }) {
  const place = element.querySelector('.notes');
  const status = element.querySelector('.page > .status');
  // What lies under a modal dialog is neither seen nor read out, so each dialog has a place of its own.
  const above = () => [...element.querySelectorAll('dialog:modal .noted')].pop();

  function note(text, act) {
    const at = above() || place;
    for (const old of at.children) if (old.textContent === text) old.remove();
    const entry = make('p', 'note');
    entry.append(make('span', '', text));
    const away = () => {
      if (entry.contains(document.activeElement)) setTimeout(away, SECONDS * 1000);
      else entry.remove();
    };
    if (act) {
      // Until it has worked it can be tried again.
      const back = button('plain', act.text, async () => {
        back.disabled = true;
        if (await act.run()) entry.remove();
        else {
          back.disabled = false;
          back.focus({ preventScroll: true });
        }
      });
      entry.append(back);
      at.append(entry);
      back.focus({ preventScroll: true });
    } else at.append(entry);
    setTimeout(away, (act ? act.seconds : SECONDS) * 1000);
  }

  function aloud(text) {
    const at = above();
    if (!at) {
      status.textContent = text;
      return;
    }
    const entry = make('p', 'aside', text);
    at.append(entry);
    setTimeout(() => entry.remove(), SECONDS * 1000);
  }

  return { note, aloud };
}
