// What the page asks the server for beside answers: JSON there and back, and an Error with one line when it fails.
import { say } from './dom.js';

const base = new URL('page/', document.baseURI);

export function address(path, query = {}) {
  const url = new URL(path, base);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return url;
}

export async function send(method, path, data, query) {
  const raw = data instanceof Blob;
  let response;
  try {
    response = await fetch(address(path, query), {
      method,
      headers: data === undefined || raw ? {} : { 'Content-Type': 'application/json' },
      body: data === undefined || raw ? data : JSON.stringify(data),
    });
  } catch {
    throw new Error(say('unreachable'));
  }
  let found = {};
  try {
    found = await response.json();
  } catch {
    if (response.ok) throw new Error(say('unreachable'));
  }
  if (!response.ok || found.refused) {
    const error = new Error(found.refused || say('unreachable'));
    error.missing = found.missing;
    throw error;
  }
  return found;
}

export const get = (path, query) => send('GET', path, undefined, query);
