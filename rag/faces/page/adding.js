// Bringing articles in: chosen, dropped or pasted, looked at before they are added, and followed on their way.
import { button, byline, fill, isolated, lasting, make, say } from './dom.js';
import { get, send } from './requests.js';

const BEAT = 300;

// `added` is called when the library has changed, `ask` when the reader wants to ask about what was added; what comes
// of a job is noted where the sheet is closed by then.
export function adding({ element, note, aloud, added, ask }) {
  const sheet = element.querySelector('dialog.adding');
  const find = (selector) => sheet.querySelector(selector);
  const drop = find('.drop');
  const files = find('.files');
  const state = find('.state');
  const failed = find('.failed');
  const draft = find('.draft');
  const job = find('.job');
  const paste = find('.paste form');
  const failures = failed.querySelector('ul');
  const addButton = find('.draft .add');
  const earlier = find('.job .earlier');
  const next = [];
  let running = null;

  // Does what may fail, and tells when it has.
  async function attempt(act) {
    state.textContent = '';
    try {
      return await act();
    } catch (error) {
      state.textContent = error.message;
      return null;
    }
  }

  async function open() {
    sheet.showModal();
    job.hidden = !running;
    const found = await attempt(() => get('library/draft'));
    if (!found) return;
    show(found);
    // Those of before a reload.
    found.jobs.forEach(follow);
  }

  async function read(chosen) {
    const refused = [];
    let last = null;
    for (const file of chosen) {
      state.textContent = say('add_reading', { name: file.name });
      try {
        last = await send('PUT', 'library/draft', file, { name: file.name });
      } catch (error) {
        refused.push({ source: file.name, reason: error.message });
      }
    }
    state.textContent = '';
    last = last || (await attempt(() => get('library/draft')));
    if (!last) return;
    show(last, refused);
    if (last.count) aloud(say('draft') + ': ' + draft.querySelector('.count').textContent);
  }

  function fail(list) {
    fill(
      failures,
      list.map(({ source, reason }) => {
        const entry = make('li');
        entry.append(isolated('strong', '', source), ': ', make('bdi', '', reason));
        return entry;
      }),
    );
    failed.hidden = !list.length;
  }

  function show(found, refused = []) {
    fail([...found.failed, ...refused]);
    draft.hidden = !found.pages.length;
    if (!running) job.hidden = true;
    const counts = { articles: say('articles', { n: found.count }), passages: say('passages', { n: found.passages }) };
    const left = found.count > found.articles.length ? ' ' + say('draft_more', { n: found.articles.length }) : '';
    draft.querySelector('.count').textContent = say('draft_count', counts) + '.' + left;
    fill(draft.querySelector('ul'), found.articles.map(waiting));
    addButton.disabled = !found.fresh;
    draft.querySelector('.count').hidden = !found.count;
    addButton.hidden = !found.count;
  }

  function waiting(article) {
    const entry = make('li', 'waits');
    const line = make('p', 'line');
    const mark = make('span', 'state', say('draft_' + article.state));
    mark.dataset.state = article.state;
    line.append(byline(article), mark, make('span', '', size(article)));
    const title = isolated('h4', '', article.title);
    if (article.made) title.title = say('title_made');
    const out = button('quiet', say('draft_leave_out'), async () => {
      const found = await attempt(() => send('DELETE', 'library/draft', { id: article.id }));
      if (found) show(found);
      find('.choose').focus();
    });
    out.setAttribute('aria-label', say('draft_leave_out') + ': ' + article.title);
    entry.append(title, line, isolated('p', 'opening', article.opening), out);
    return entry;
  }

  const size = ({ words, passages }) =>
    say('draft_words', { words: say('words', { n: words }), passages: say('passages', { n: passages }) });

  async function add() {
    addButton.disabled = true;
    const found = await attempt(() => send('POST', 'library/add'));
    if (!found) {
      addButton.disabled = false;
      return;
    }
    draft.hidden = true;
    fail([]);
    if (!running) earlier.replaceChildren();
    follow(found);
    find('.halt').focus();
  }

  function wait() {
    const n = next.reduce((all, one) => all + one.articles, 0);
    find('.next').textContent = n ? say('adding_next', { articles: say('articles', { n }) }) : '';
  }

  // One job at a time is shown; what is added meanwhile waits for its turn and is shown then, below what came of those
  // before.
  async function follow(first) {
    if (running) {
      if (running !== first.id && !next.some((one) => one.id === first.id)) next.push(first);
      wait();
      return;
    }
    let found = first;
    running = found.id;
    job.hidden = false;
    find('.asking').hidden = true;
    find('.halt').hidden = false;
    const bar = find('progress');
    find('.what').textContent = say('adding', { articles: say('articles', { n: found.articles }) });
    while (found.state === 'running') {
      bar.value = found.share;
      const speed = say('passages', { n: Math.round(found.rate || 0) });
      const rate = { done: found.done, all: found.articles, rate: speed, left: lasting(found.left || 0) };
      find('.told').textContent = say(found.left ? 'adding_rate' : 'adding_first', rate);
      await new Promise((go) => setTimeout(go, BEAT));
      try {
        found = await get('library/jobs/' + found.id);
      } catch (error) {
        // The server may be back in a moment; that a job is not known any more is final.
        find('.told').textContent = error.message;
        if (error.missing) found = { ...found, state: 'failed', message: error.message };
      }
    }
    const atButton = document.activeElement === find('.halt');
    running = null;
    bar.value = found.share;
    find('.halt').hidden = true;
    find('.what').textContent = found.report ? say('added_report', found.report) : found.message;
    find('.told').textContent = '';
    const asking = find('.asking');
    asking.hidden = !found.report;
    if (atButton) (asking.hidden ? find('.choose') : asking).focus();
    if (found.report) fail(found.report.failed);
    else {
      const left = await attempt(() => get('library/draft'));
      if (left) show(left);
      job.hidden = false;
    }
    added();
    if (!sheet.open) note(find('.what').textContent);
    const later = next.shift();
    wait();
    if (!later) return;
    earlier.append(make('p', '', find('.what').textContent));
    follow(later);
  }

  element.querySelectorAll('.library .over .add, .welcome .add').forEach((opener) => opener.addEventListener('click', open));
  find('.close').addEventListener('click', () => sheet.close());
  find('.choose').addEventListener('click', () => files.click());
  files.addEventListener('change', async () => {
    await read([...files.files]);
    files.value = '';
  });
  for (const name of ['dragover', 'dragenter']) {
    drop.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.add('over');
    });
  }
  drop.addEventListener('dragleave', () => drop.classList.remove('over'));
  drop.addEventListener('drop', (event) => {
    event.preventDefault();
    drop.classList.remove('over');
    read([...event.dataTransfer.files]);
  });
  // A file that misses the place would replace the page.
  for (const name of ['dragover', 'drop']) sheet.addEventListener(name, (event) => event.preventDefault());
  paste.addEventListener('submit', async (event) => {
    event.preventDefault();
    const data = { title: paste.title.value, text: paste.text.value };
    const found = await attempt(() => send('POST', 'library/draft', data));
    if (!found) return;
    show(found);
    paste.reset();
    aloud(say('draft') + ': ' + draft.querySelector('.count').textContent);
  });
  find('.away').addEventListener('click', async () => {
    const found = await attempt(() => send('DELETE', 'library/draft'));
    if (found) show(found);
    find('.choose').focus();
  });
  addButton.addEventListener('click', add);
  find('.halt').addEventListener('click', () => running && attempt(() => send('DELETE', 'library/jobs/' + running)));
  find('.asking').addEventListener('click', () => {
    sheet.close();
    ask();
  });
}
