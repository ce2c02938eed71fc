// The outbox: every verdict is written here first, then sent, oldest first, until the server has answered.
import { Refused, Unreachable, send } from "./api.js";

const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 60000;

export class Outbox extends EventTarget {
  // Rows are kept per person: on a shared computer nobody sends another person's labels.
  constructor(store, user) {
    super();
    this.store = store;
    this.user = user;
    this.count = 0;
    this.state = "idle"; // idle | sending | offline | logged-out
    this.wait = FIRST_WAIT_MS;
    this.timer = 0;
    this.running = null;
  }

  async start() {
    addEventListener("online", () => this.retryNow());
    document.addEventListener("visibilitychange", () => document.hidden || this.retryNow());
    await this.recount();
    return this.flush();
  }

  async rows() {
    const all = await this.store.all("outbox");
    return all.filter((row) => row.user === this.user).sort((a, b) => a.created - b.created);
  }

  async recount() {
    this.count = (await this.rows()).length;
  }

  // closes: whether the server ends the lease when it hears of this
  async add(row) {
    await this.store.put("outbox", { ...row, user: this.user, created: Date.now() });
    await this.recount();
    this.tell("changed");
    this.flush();
  }

  retryNow() {
    clearTimeout(this.timer);
    this.wait = FIRST_WAIT_MS;
    return this.flush();
  }

  flush() {
    this.running ??= this.alone(() => this.sendAll()).finally(() => {
      this.running = null;
      if (this.count > 0 && this.state === "idle") this.flush(); // added while the last answer came in
    });
    return this.running;
  }

  // Two tabs share one outbox; the lock (https and localhost only) spares the server what its keys would absorb.
  alone(work) {
    return navigator.locks ? navigator.locks.request("tandem-outbox", work) : work();
  }

  async sendAll() {
    clearTimeout(this.timer);
    for (let rows = await this.rows(); rows.length > 0; rows = await this.rows()) {
      this.become("sending");
      if (!(await this.sendOne(rows[0]))) return;
    }
    this.become("idle");
  }

  async sendOne(row) {
    try {
      const answer = await send(row.url, { body: row.body });
      await this.settle(row);
      this.tell("sent", { row, answer });
      return true;
    } catch (error) {
      return this.failed(row, error);
    }
  }

  async failed(row, error) {
    if (error instanceof Unreachable) return this.later("offline");
    if (!(error instanceof Refused)) throw error;
    if (error.status === 401 || error.status === 403) return this.later("logged-out");
    await this.settle(row);
    this.tell("refused", { row, error });
    return true;
  }

  async settle(row) {
    await this.store.remove("outbox", row.key);
    await this.recount();
    this.wait = FIRST_WAIT_MS;
  }

  later(state) {
    this.become(state);
    const jitter = 0.75 + Math.random() / 2;
    this.timer = setTimeout(() => this.flush(), this.wait * jitter);
    this.wait = Math.min(this.wait * 2, LONGEST_WAIT_MS);
    return false;
  }

  become(state) {
    this.state = state;
    this.tell("changed");
  }

  tell(type, detail = {}) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
