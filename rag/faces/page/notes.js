// Short notes at the foot of the page, some with a way back, which has the focus and stays as long as it has.
import { button, make } from './dom.js';

const SECONDS = 5;

export function notes({ element }) {
  const place = element.querySelector('.notes');

  return (text, act) => {
    // What lies under a modal dialog is neither seen nor read out, so each dialog has a place of its own.
    const above = [...element.querySelectorAll('dialog:modal .noted')].pop() || place;
    for (const old of above.children) if (old.textContent === text) old.remove();
    const entry = make('p', 'note');
    entry.append(make('span', '', text));
    const away = () => {
      if (entry.contains(document.activeElement)) setTimeout(away, SECONDS * 1000);
      else entry.remove();
    };
    if (act) {
      const back = button('plain', act.text, () => {
        entry.remove();
        act.run();
      });
      entry.append(back);
      above.append(entry);
      back.focus({ preventScroll: true });
    } else above.append(entry);
    setTimeout(away, (act ? act.seconds : SECONDS) * 1000);
  };
}
