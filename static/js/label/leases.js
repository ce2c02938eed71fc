// What this screen holds: the comparison being read and the one fetched ahead. Keeps leases alive, gives them back.
import { Refused, Unreachable, assignmentUrl, send } from "./api.js";

const PRESENT_MS = 300000; // heartbeats stop when nobody has touched the screen for five minutes

export class Leases {
  constructor(urls, timer) {
    this.urls = urls;
    this.timer = timer;
    this.held = new Map();
    this.away = new Set(); // submitted here, perhaps not yet on the server: never to be offered again
    this.beating = 0;
    addEventListener("pagehide", () => this.returnAll());
  }

  // Progress comes with every label that is sent, so only a page that has just opened asks for it.
  async next({ progress }) {
    const exclude = [...this.held.keys(), ...this.away];
    const item = await send(this.urls.next, { body: { exclude, progress } });
    if (item.assignment) this.hold(item.assignment);
    return item;
  }

  open(id) {
    return send(assignmentUrl(this.urls.assignment, id), { method: "GET" });
  }

  hold(assignment) {
    this.held.set(assignment.id, assignment.expires_at);
    if (!this.beating) this.beat(assignment.lease_seconds);
  }

  // Submitted or skipped here: the server closes the lease when it hears of it.
  done(id) {
    this.held.delete(id);
    this.away.add(id);
  }

  forget(id) {
    this.held.delete(id);
    this.away.delete(id);
  }

  isExpired(id) {
    return this.held.has(id) && Date.parse(this.held.get(id)) <= Date.now();
  }

  beat(leaseSeconds) {
    const every = Math.max(10, Math.min(60, leaseSeconds / 3)) * 1000;
    this.beating = setInterval(() => {
      if (document.hidden || this.timer.idleFor() > PRESENT_MS) return;
      for (const id of [...this.held.keys()]) this.renew(id);
    }, every);
  }

  // False when the server has given the slot away. An unreachable server is no reason to stop: a label given after
  // the lease ran out is stored as long as nobody else took the slot.
  async renew(id) {
    try {
      const { expires_at } = await send(assignmentUrl(this.urls.assignment, id, "heartbeat"));
      if (this.held.has(id)) this.held.set(id, expires_at);
      return true;
    } catch (error) {
      if (error instanceof Unreachable) return true;
      if (!(error instanceof Refused)) throw error;
      this.held.delete(id);
      return false;
    }
  }

  returnAll() {
    // After a reload the next page may hold the lease already; the server tells by its end.
    for (const [id, expires_at] of this.held) {
      const url = assignmentUrl(this.urls.assignment, id, "return");
      send(url, { keepalive: true, body: { expires_at } }).catch(() => {}); // leaving
    }
    this.held.clear();
  }
}
