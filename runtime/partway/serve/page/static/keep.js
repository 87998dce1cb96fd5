// What was made, with its settings, in this browser: it survives a reload, and a restart of the server.
const NAME = "made", MOST = 60;

function opened() {
  return new Promise((done, failed) => {
    const asked = indexedDB.open("partway", 1);
    asked.onupgradeneeded = () => asked.result.createObjectStore(NAME, { keyPath: "id", autoIncrement: true });
    asked.onsuccess = () => done(asked.result);
    asked.onerror = () => failed(asked.error);
  });
}

async function within(mode, act) {
  const base = await opened();
  try {
    return await new Promise((done, failed) => {
      const change = base.transaction(NAME, mode), asked = act(change.objectStore(NAME));
      change.oncomplete = () => done(asked?.result);
      change.onerror = () => failed(change.error);
    });
  } finally {
    base.close();
  }
}

export const all = async () => (await within("readonly", (store) => store.getAll())).reverse();
export const forget = () => within("readwrite", (store) => store.clear());

export async function add(entry) {
  const id = await within("readwrite", (store) => store.add(entry));
  const ids = await within("readonly", (store) => store.getAllKeys());
  const old = ids.slice(0, Math.max(0, ids.length - MOST));
  if (old.length) await within("readwrite", (store) => { for (const one of old) store.delete(one); });
  return id;
}
