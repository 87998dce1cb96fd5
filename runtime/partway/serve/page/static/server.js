// What the page asks of its server, and of no other.
const told = new URLSearchParams(location.hash.slice(1)).get("token");
if (told) {
  sessionStorage.setItem("token", told);
  history.replaceState(null, "", location.pathname);
}

export class Refused extends Error {
  constructor(message, code) {
    super(message);
    this.code = code;
  }
}

async function ask(path, options = {}) {
  const token = sessionStorage.getItem("token");
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch (problem) {
    if (problem.name === "AbortError") throw problem;
    throw new Refused("The server does not answer; is it still running?", "away");
  }
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({}));
  throw new Refused(said.error?.message ?? `The server answered ${answer.status}.`, said.error?.code);
}

export const get = async (path) => (await ask(path)).json();
export const post = async (path, body, signal) =>
  (await ask(path, { method: "POST", body: body instanceof FormData ? body : JSON.stringify(body), signal })).json();
export const blob = async (path) => (await ask(path)).blob();

// A run's events, one after the other.
export async function* run(form, signal) {
  const answer = await ask("/partway/runs", { method: "POST", body: form, signal });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n\n");
    rest = parts.pop();
    for (const part of parts) if (part.startsWith("data: ")) yield JSON.parse(part.slice(6));
  }
}
