// What a reader thinks of an answer, or of one sentence of it.
import { button, make, say } from './dom.js';
import { send } from './requests.js';

const shown = 60;

export function opinions(turn, acts) {
  let given = null;
  const marks = [true, false].map((good) => {
    const mark = button('quiet thumb ' + (good ? 'good' : 'bad'), undefined, () => judge(given === good ? null : good));
    mark.append(thumb());
    mark.setAttribute('aria-label', say(good ? 'good' : 'bad'));
    mark.title = say(good ? 'good' : 'bad');
    return mark;
  });
  const form = make('form', 'opinion');
  form.hidden = true;
  const which = make('select');
  const why = make('textarea');
  why.rows = 2;
  why.maxLength = 2000;
  why.dir = 'auto';
  which.append(new Option(say('opinion_all'), ''));
  turn.sentences.forEach((sentence, i) => {
    which.append(new Option(sentence.length > shown ? sentence.slice(0, shown) + '…' : sentence, String(i)));
  });
  const send_ = make('button', 'plain', say('opinion_send'));
  form.append(labelled(say('opinion_which'), which), labelled(say('opinion_why'), why), send_);

  const path = () => 'conversations/' + acts.conversation() + '/turns/' + turn.id + '/opinion';
  const show = (good) => {
    given = good;
    marks.forEach((mark, i) => mark.setAttribute('aria-pressed', String(given === (i === 0))));
  };
  async function judge(good) {
    try {
      await send('PUT', path(), { sentence: null, good });
    } catch (error) {
      acts.note(error.message);
      return;
    }
    // A reason is one for what was thought then.
    if (given !== good) why.value = '';
    show(good);
    form.hidden = good === null;
    if (good === null) return;
    form.scrollIntoView({ block: 'nearest' });
    acts.note(say('thanks'));
  }
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    const sentence = which.value === '' ? null : Number(which.value);
    try {
      await send('PUT', path(), { sentence, good: given, reason: why.value });
    } catch (error) {
      acts.note(error.message);
      return;
    }
    form.hidden = true;
    acts.note(say('thanks'));
    marks[given ? 0 : 1].focus({ preventScroll: true });
  });
  show(null);
  turn.judged = (list) => {
    const whole = list.find((opinion) => opinion.sentence === null);
    if (!whole) return;
    show(whole.good);
    why.value = whole.reason;
  };
  return [form, ...marks];
}

// A thumb that points up.
function thumb() {
  const space = 'http://www.w3.org/2000/svg';
  const picture = document.createElementNS(space, 'svg');
  const path = document.createElementNS(space, 'path');
  picture.setAttribute('viewBox', '0 0 24 24');
  picture.setAttribute('fill', 'none');
  picture.setAttribute('stroke', 'currentColor');
  picture.setAttribute('stroke-width', '1.8');
  picture.setAttribute('stroke-linejoin', 'round');
  picture.setAttribute('aria-hidden', 'true');
  path.setAttribute('d', 'M3 11h4v9H3zM7 11l4-8c1.7 0 2.6 1.3 2.3 2.9L12.6 10H19c1.3 0 2.2 1.2 1.9 2.4l-1.5 6c-.2.9-1 1.6-2 1.6H7');
  picture.append(path);
  return picture;
}

function labelled(text, field) {
  const label = make('label', '', text + ' ');
  label.append(field);
  return label;
}
