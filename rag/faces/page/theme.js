// Light or dark as the reader wants it; else as the system has it.
import { say } from './dom.js';

const order = ['system', 'light', 'dark'];

export function theme({ element, note }) {
  const root = document.documentElement;
  const button = element.querySelector('.top .theme');
  const tell = () => (button.title = say('theme_' + (root.dataset.theme || 'system')));
  button.addEventListener('click', () => {
    const next = order[(order.indexOf(root.dataset.theme || 'system') + 1) % order.length];
    if (next === 'system') delete root.dataset.theme;
    else root.dataset.theme = next;
    try {
      localStorage.setItem('footnote-theme', next);
    } catch {
      // It holds until the page is left, then.
    }
    tell();
    note(say('theme_' + next));
  });
  tell();
}
