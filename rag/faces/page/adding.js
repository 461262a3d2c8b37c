// Bringing articles in: chosen, dropped or pasted, looked at before they are added, and followed on their way.
import { button, byline, fill, isolated, lasting, make, say } from './dom.js';
import { get, send } from './requests.js';

const BEAT = 300;

// `added` is called when the library has changed, `ask` when the reader wants to ask about what was added.
export function adding({ element, added, ask }) {
  const sheet = element.querySelector('dialog.adding');
  const find = (selector) => sheet.querySelector(selector);
  const drop = find('.drop');
  const files = find('.files');
  const state = find('.state');
  const failed = find('.failed');
  const draft = find('.draft');
  const job = find('.job');
  const paste = find('.paste form');
  let running = null;

  async function open() {
    sheet.showModal();
    job.hidden = !running;
    try {
      show(await get('library/draft'));
    } catch (error) {
      state.textContent = error.message;
    }
  }

  async function read(chosen) {
    job.hidden = true;
    const refused = [];
    for (const file of chosen) {
      state.textContent = say('add_reading', { name: file.name });
      try {
        show(await send('PUT', 'library/draft', file, { name: file.name }));
      } catch (error) {
        refused.push({ source: file.name, reason: error.message });
      }
    }
    state.textContent = '';
    if (refused.length) fail(refused);
  }

  function fail(list) {
    fill(failed.querySelector('ul'), [
      ...list.map(({ source, reason }) => {
        const entry = make('li');
        entry.append(isolated('strong', '', source), ': ', make('bdi', '', reason));
        return entry;
      }),
    ]);
    failed.hidden = !list.length;
  }

  function show(found) {
    fail(found.failed);
    draft.hidden = !found.count;
    const counts = { articles: say('articles', { n: found.count }), passages: say('passages', { n: found.passages }) };
    const left = found.count > found.articles.length ? ' ' + say('draft_more', { n: found.articles.length }) : '';
    draft.querySelector('.count').textContent = say('draft_count', counts) + '.' + left;
    fill(draft.querySelector('ul'), found.articles.map(waiting));
    draft.querySelector('.add').disabled = !found.articles.some((article) => article.state !== 'unchanged');
  }

  function waiting(article) {
    const entry = make('li', 'waits');
    const line = make('p', 'line');
    const mark = make('span', 'state', say('draft_' + article.state));
    mark.dataset.state = article.state;
    line.append(byline(article), mark, make('span', '', say('draft_words', { n: article.words, passages: say('passages', { n: article.passages }) })));
    const title = isolated('h4', '', article.title);
    if (article.made) title.title = say('title_made');
    const out = button('quiet', say('draft_leave_out'), async () => {
      show(await send('DELETE', 'library/draft', { id: article.id }));
      sheet.querySelector('.choose').focus();
    });
    out.setAttribute('aria-label', say('draft_leave_out') + ': ' + article.title);
    entry.append(title, line, isolated('p', 'opening', article.opening), out);
    return entry;
  }

  async function add() {
    let found;
    try {
      found = await send('POST', 'library/add');
    } catch (error) {
      state.textContent = error.message;
      return;
    }
    draft.hidden = true;
    job.hidden = false;
    find('.asking').hidden = true;
    find('.halt').hidden = false;
    find('.halt').focus();
    running = found.id;
    follow(found);
  }

  async function follow(found) {
    const bar = find('progress');
    while (found.state === 'running') {
      find('.what').textContent = say('adding', { articles: say('articles', { n: found.articles }) });
      bar.value = found.share;
      const rate = { done: found.done, all: found.articles, rate: Math.round(found.rate || 0), left: lasting(found.left || 0) };
      find('.told').textContent = say(found.left ? 'adding_rate' : 'adding_first', rate);
      await new Promise((go) => setTimeout(go, BEAT));
      try {
        found = await get('library/jobs/' + running);
      } catch (error) {
        found = { ...found, state: 'failed', message: error.message };
      }
    }
    running = null;
    bar.value = found.share;
    find('.halt').hidden = true;
    find('.what').textContent = found.report ? say('added_report', found.report) : found.message;
    find('.told').textContent = '';
    if (found.report) fail(found.report.failed);
    const asking = find('.asking');
    asking.hidden = !found.report;
    (asking.hidden ? find('.choose') : asking).focus();
    added();
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
    job.hidden = true;
    state.textContent = '';
    try {
      show(await send('POST', 'library/draft', { title: paste.title.value, text: paste.text.value }));
      paste.reset();
    } catch (error) {
      state.textContent = error.message;
    }
  });
  find('.away').addEventListener('click', async () => show(await send('DELETE', 'library/draft')));
  find('.draft .add').addEventListener('click', add);
  find('.halt').addEventListener('click', () => running && send('DELETE', 'library/jobs/' + running));
  find('.asking').addEventListener('click', () => {
    sheet.close();
    ask();
  });

  return { open };
}
