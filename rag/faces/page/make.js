// What both scripts build with. Text only ever becomes text nodes.
const find = (selector) => element.querySelector(selector);

function make(tag, name, text) {
  const node = document.createElement(tag);
  if (name) node.className = name;
  if (text !== undefined) node.textContent = text;
  return node;
}

function isolated(tag, name, text) {
  const node = make(tag, name);
  node.append(make('bdi', '', text));
  return node;
}

function readable(published) {
  const [year, month, day] = published.split('-').map(Number);
  const date = new Date(Date.UTC(year, month - 1, day));
  return date.toLocaleDateString('en', { day: 'numeric', month: 'long', year: 'numeric', timeZone: 'UTC' });
}

function byline(item) {
  const line = make('span', 'by');
  item.authors.forEach((author, i) => {
    if (i) line.append(', ');
    line.append(make('bdi', '', author));
  });
  if (item.published) {
    if (item.authors.length) line.append(' · ');
    const time = make('time', '', readable(item.published));
    time.dateTime = item.published;
    line.append(time);
  }
  return line;
}

// Which other articles print the same, or nothing.
function alsoIn({ articles, more }) {
  if (!articles.length) return [];
  const line = make('span', 'also', 'Also in ');
  articles.forEach((article, i) => {
    if (i) line.append(more || i < articles.length - 1 ? '; ' : ' and ');
    const told = [article.source && make('bdi', '', article.source), article.published && readable(article.published)];
    line.append(make('bdi', '', article.title));
    told.filter(Boolean).forEach((part, n) => line.append(n ? ', ' : ' (', part));
    if (told.some(Boolean)) line.append(')');
  });
  if (more) line.append(' and ' + more + ' more');
  return [line];
}
