// Short notes at the foot of the page, some with a way back.
import { button, make } from './dom.js';

const SECONDS = 5;

export function notes({ element }) {
  const place = element.querySelector('.notes');
  return (text, act) => {
    const entry = make('p', 'note');
    entry.append(make('bdi', '', text));
    const away = () => entry.remove();
    if (act) {
      entry.append(
        button('plain', act.text, () => {
          away();
          act.run();
        }),
      );
    }
    // A modal dialog lies over everything else, so a note for it must be in it.
    (element.querySelector('dialog:modal') || place).append(entry);
    setTimeout(away, (act ? act.seconds : SECONDS) * 1000);
  };
}
