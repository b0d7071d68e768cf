// What was typed since the last save, kept in the browser's own database: a crash or a closed lid loses at most the
// last moments. One entry per flow; a successful save clears it.

export interface Unsaved {
  key: string;
  document: unknown;
  /** The revision the edits were made on; null if the flow had no draft. */
  revision: string | null;
  at: number;
}

const DATABASE = 'stepwell';
const STORE = 'unsaved';

function open(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE, { keyPath: 'key' });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

async function act<T>(mode: IDBTransactionMode, run: (store: IDBObjectStore) => IDBRequest<T>): Promise<T | null> {
  try {
    const database = await open();
    return await new Promise<T>((resolve, reject) => {
      const transaction = database.transaction(STORE, mode);
      const request = run(transaction.objectStore(STORE));
      // Written only once the transaction is through.
      transaction.oncomplete = () => resolve(request.result);
      transaction.onerror = () => reject(transaction.error);
      transaction.onabort = () => reject(transaction.error);
    }).finally(() => database.close());
  } catch {
    // A private window may refuse storage: saving to the server still works.
    return null;
  }
}

/** True once it is written. */
export const keep = (entry: Unsaved): Promise<boolean> =>
  act('readwrite', (store) => store.put(entry)).then((written) => written !== null);
export const kept = (key: string): Promise<Unsaved | null> =>
  act<Unsaved>('readonly', (store) => store.get(key)).then((found) => found ?? null);
export const forget = (key: string): Promise<unknown> => act('readwrite', (store) => store.delete(key));
