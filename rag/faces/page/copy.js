// An answer to take along: the server writes it down in each form, so that what is pasted says what was read.
import { button, make, say } from './dom.js';
import { menu } from './menu.js';
import { get } from './requests.js';

const forms = ['md', 'html', 'txt'];

export function copying(turn, acts) {
  const summary = make('summary', 'quiet', say('copy'));
  const choices = forms.map((form) =>
    button('', say('copy_' + form), async () => {
      const at = 'conversations/' + acts.conversation() + '/turns/' + turn.id + '/copied';
      const coming = get(at);
      try {
        await put(form, coming);
        acts.note(say('copied'));
      } catch (error) {
        // Either the server has not given it or the browser has not taken it.
        const refused = await coming.then(() => null, (why) => why.message);
        acts.note(refused || say('not_copied', { reason: error.message }));
      }
      close();
    }),
  );
  const { element, close } = menu(summary, choices);
  return element;
}

// Some browsers let a click write only what it promises at once.
function put(form, coming) {
  const part = (name, type) => coming.then((found) => new Blob([found[name]], { type }));
  const parts = { 'text/plain': part(form === 'html' ? 'txt' : form, 'text/plain') };
  if (form === 'html') parts['text/html'] = part('html', 'text/html');
  return navigator.clipboard.write([new ClipboardItem(parts)]);
}
