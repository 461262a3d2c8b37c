// A menu that a summary opens: put away by Escape, by a choice, and when the focus goes elsewhere.
import { make } from './dom.js';

export function menu(summary, choices) {
  const whole = make('details', 'menu');
  const list = make('div', 'choices');
  list.append(...choices);
  whole.append(summary, list);
  const close = () => {
    whole.open = false;
    summary.focus({ preventScroll: true });
  };
  whole.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || !whole.open) return;
    // Nothing else is to be closed by it.
    event.stopPropagation();
    event.preventDefault();
    close();
  });
  whole.addEventListener('focusout', (event) => {
    if (event.relatedTarget && !whole.contains(event.relatedTarget)) whole.open = false;
  });
  list.addEventListener('click', () => (whole.open = false));
  return { element: whole, close };
}
