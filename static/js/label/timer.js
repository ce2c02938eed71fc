// Time spent on one comparison: stops while the tab is hidden, and a pause counts for at most a minute.

const IDLE_MS = 60000;
const SIGNS = ["keydown", "pointerdown", "pointermove", "wheel", "touchmove", "scroll"];

export class ActiveTimer {
  constructor(now = () => performance.now()) {
    this.now = now;
    this.total = 0;
    this.last = now();
    this.lastSign = now();
    for (const sign of SIGNS)
      document.addEventListener(sign, () => this.sign(), { capture: true, passive: true });
    document.addEventListener("visibilitychange", () => this.visibility());
  }

  restart() {
    this.total = 0;
    this.last = this.lastSign = this.now();
  }

  sign() {
    this.count();
    this.lastSign = this.last;
  }

  // Counts up to now, but never beyond one minute after the last sign of life.
  count() {
    const now = this.now();
    const until = Math.min(now, this.lastSign + IDLE_MS);
    if (!this.hidden && until > this.last) this.total += until - this.last;
    this.last = now;
  }

  visibility() {
    this.count();
    this.hidden = document.hidden;
    this.lastSign = this.last;
  }

  elapsed() {
    this.count();
    return Math.round(this.total);
  }

  idleFor() {
    return this.now() - this.lastSign;
  }
}
