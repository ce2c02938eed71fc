// Two small tables that outlive the tab: the outbox (labels not yet acknowledged) and drafts.

const NAME = "tandem-label";
const VERSION = 1;

function promised(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function open() {
  const request = indexedDB.open(NAME, VERSION);
  request.onupgradeneeded = () => {
    request.result.createObjectStore("outbox", { keyPath: "key" });
    request.result.createObjectStore("drafts", { keyPath: "key" });
  };
  return promised(request);
}

class DiskStore {
  constructor(database) {
    this.database = database;
    this.durable = true;
  }

  // Resolves when the transaction is complete, that is, when the row is on disk.
  change(table, work) {
    return new Promise((resolve, reject) => {
      const transaction = this.database.transaction(table, "readwrite");
      transaction.oncomplete = () => resolve();
      transaction.onabort = transaction.onerror = () => reject(transaction.error);
      work(transaction.objectStore(table));
    });
  }

  put(table, row) {
    return this.change(table, (rows) => rows.put(row));
  }

  remove(table, key) {
    return this.change(table, (rows) => rows.delete(key));
  }

  get(table, key) {
    return promised(this.database.transaction(table).objectStore(table).get(key));
  }

  all(table) {
    return promised(this.database.transaction(table).objectStore(table).getAll());
  }
}

// Where the browser refuses storage (some private windows) work goes on, and the screen says what is at stake.
class MemoryStore {
  constructor() {
    this.durable = false;
    this.tables = { outbox: new Map(), drafts: new Map() };
  }

  async put(table, row) {
    this.tables[table].set(row.key, row);
  }

  async remove(table, key) {
    this.tables[table].delete(key);
  }

  async get(table, key) {
    return this.tables[table].get(key);
  }

  async all(table) {
    return [...this.tables[table].values()];
  }
}

export async function openStore() {
  try {
    return new DiskStore(await open());
  } catch {
    return new MemoryStore();
  }
}
