// The labelling workspace: joins screen, task, leases, outbox and keys. One comparison is open, one is fetched ahead;
// a verdict goes to the outbox on disk first, then the next comparison is shown, then the outbox sends.
import { Refused, Unreachable, assignmentUrl, newKey } from "./label/api.js";
import { Drafts } from "./label/drafts.js";
import { listen } from "./label/keys.js";
import { Leases } from "./label/leases.js";
import { PairwiseTask } from "./label/pairwise.js";
import { Outbox } from "./label/queue.js";
import { SkipMenu } from "./label/skip.js";
import { openStore } from "./label/store.js";
import { ActiveTimer } from "./label/timer.js";
import { Screen } from "./label/view.js";
import { SAY } from "./label/words.js";
import { say } from "./status.js";

const TASKS = { pairwise: PairwiseTask };
const SETTLE_MS = 300; // a verdict this soon after a comparison appears was meant for the one before
const RETRY_MS = 5000;

class Workspace {
  constructor(config, root, store) {
    this.config = config;
    this.root = root;
    this.store = store;
    this.drafts = new Drafts(store, config);
    this.timer = new ActiveTimer();
    this.leases = new Leases(config.urls, this.timer);
    this.outbox = new Outbox(store, config.user);
    this.screen = new Screen(root);
    this.current = null; // {item, revise, before}: before is the standing answer that a revision starts from
    this.ahead = null; // promise of the next item, or of null
    this.parked = []; // comparisons that an undo put aside
    this.past = []; // labels given on this screen, newest last
    this.busy = true;
    this.buildTask();
    this.listen();
  }

  buildTask() {
    const find = this.screen.find;
    const places = { points: find("points"), others: find("others"), extras: find("extras") };
    this.task = new TASKS[this.config.protocol.kind](this.config.protocol, places, {
      onChoose: (again) => this.chosen(again),
      onEdit: (state) => this.drafts.save(this.current.item, state),
      onLocked: () => say(SAY.seeBoth, "warn"),
    });
    this.root.toggleAttribute("data-immediate", this.task.immediate);
    find("last-point").textContent = this.task.strengths.length;
    this.skipMenu = new SkipMenu(find("skip-menu"), find("skip"), (reason) => this.skip(reason));
    find("guideline-text").innerHTML = this.config.guideline_html; // sanitised by the server
    this.screen.onSeen = (seen) => this.task.lock(!seen);
  }

  // ---- events ----

  listen() {
    const find = this.screen.find;
    find("undo").addEventListener("click", () => this.undo());
    find("send").addEventListener("click", () => this.submit());
    find("again").addEventListener("click", () => this.advance());
    for (const button of document.querySelectorAll("[data-toggle]")) {
      button.addEventListener("click", () => this.toggle(button.dataset.toggle));
    }
    this.outbox.addEventListener("changed", () => this.tellOutbox());
    this.outbox.addEventListener("sent", ({ detail }) => this.sent(detail));
    this.outbox.addEventListener("refused", ({ detail }) => this.refused(detail));
    addEventListener("pageshow", (event) => event.persisted && location.reload());
    listen({
      actions: this.actions(),
      onDigit: (digit) => this.digit(digit),
      inField: (event) => this.inField(event),
    });
  }

  actions() {
    const { screen, task } = this;
    return {
      Enter: () => this.submit() ?? true,
      Escape: () => this.closeSkipMenu(),
      "?": () => document.getElementById("keys").showModal() ?? true,
      u: () => this.undo() ?? true,
      s: () => this.askSkip(),
      x: () => !this.isSettling() && task.cannotJudge(),
      w: () => task.writeWhy(),
      j: () => task.move(1),
      k: () => task.move(-1),
      p: () => screen.collapsePrompt(!screen.collapsed),
      g: () => this.toggle("guidelines"),
      d: () => this.toggle("diff"),
      y: () => this.toggle("sync"),
      ArrowLeft: (event) => !event.target.matches(".scrolls-x") && screen.focusSide(0),
      ArrowRight: (event) => !event.target.matches(".scrolls-x") && screen.focusSide(1),
      ...this.scrolling(),
    };
  }

  // Both texts scroll unless one has the focus: then the browser scrolls that one.
  scrolling() {
    const by = (share) => (event) =>
      !event.target.closest(".scrolls") && this.screen.scrollBy(event.shiftKey ? -share : share);
    return { ArrowDown: by(0.12), ArrowUp: by(-0.12), PageDown: by(0.85), PageUp: by(-0.85), " ": by(0.85) };
  }

  digit(digit) {
    if (this.skipMenu.isOpen) return this.skipMenu.press(digit);
    if (!this.current || this.isSettling()) return true;
    return this.task.press(digit);
  }

  askSkip() {
    if (this.current?.revise) say(SAY.noSkip);
    else if (this.current) this.skipMenu.toggle();
    return true;
  }

  closeSkipMenu() {
    this.skipMenu.toggle(false);
    this.focusVerdicts();
    return true;
  }

  inField(event) {
    if (event.key === "Escape") this.focusVerdicts();
    if (event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    this.submit();
  }

  toggle(name) {
    const words =
      this.screen.toggle(name) || { sync: this.screen.toggles.sync ? SAY.syncOn : SAY.syncOff }[name];
    if (words) say(words);
    return true;
  }

  isSettling() {
    return this.busy || performance.now() - this.openedAt < SETTLE_MS;
  }

  // ---- from one comparison to the next ----

  async start() {
    if (!this.store.durable) this.warnOfLoss();
    await this.outbox.recount();
    for (const row of await this.outbox.rows()) this.leases.away.add(row.assignment);
    this.outbox.start();
    const asked = new URLSearchParams(location.search).get("revise");
    await (asked ? this.openAsked(asked) : this.advance());
  }

  warnOfLoss() {
    say(SAY.noStorage, "warn");
    addEventListener("beforeunload", (event) => this.outbox.count > 0 && event.preventDefault());
  }

  async openAsked(id) {
    history.replaceState(null, "", location.pathname); // a reload goes on with the queue
    try {
      const item = await this.leases.open(id);
      await this.show({ item, revise: Boolean(item.given), before: item.given });
    } catch (error) {
      this.stuck(error);
    }
  }

  async advance() {
    this.busy = true;
    clearTimeout(this.retry);
    try {
      const parked = this.parked.pop();
      if (parked) return await this.show(parked);
      const item = await this.take();
      if (!item.assignment) return this.nothingLeft(item);
      return await this.show({ item, revise: false, before: null });
    } catch (error) {
      return this.stuck(error);
    }
  }

  // The item fetched ahead while its lease lives; otherwise a fresh one.
  async take() {
    const ahead = this.ahead;
    this.ahead = null;
    const soon = setTimeout(() => this.screen.mode("loading"), 120);
    try {
      const item = (await ahead) ?? (await this.leases.next());
      const id = item.assignment?.id;
      const alive = !id || !this.leases.isExpired(id) || (await this.leases.renew(id));
      return alive ? item : await this.leases.next();
    } finally {
      clearTimeout(soon);
    }
  }

  fetchAhead() {
    const current = this.leases.next();
    this.ahead = current.then((item) => (item.assignment ? item : null)).catch(() => null); // asked again when needed
  }

  async show(entry) {
    clearTimeout(this.retry);
    const draft = await this.drafts.read(entry.item);
    this.current = entry;
    this.screen.show(entry.item);
    this.task.show(draft ?? entry.draft ?? entry.before ?? {});
    if (!this.progress) this.setProgress(entry.item.progress);
    this.root.toggleAttribute("data-revising", entry.revise);
    this.screen.find("undo").disabled = this.past.length === 0;
    this.screen.find("skip").disabled = entry.revise;
    this.screen.find("verdicts").setAttribute("aria-label", SAY.verdictOn(this.progress.done + 1));
    this.timer.restart();
    this.openedAt = performance.now();
    this.busy = false;
    this.focusVerdicts();
    this.root.dataset.ready = "false";
    setTimeout(() => (this.root.dataset.ready = "true"), SETTLE_MS);
    if (!this.ahead) this.fetchAhead();
  }

  nothingLeft(item) {
    this.setProgress(item.progress);
    this.rest(SAY.nothingLeft, item.reason);
  }

  stuck(error) {
    if (error instanceof Unreachable) {
      this.rest(SAY.noConnection, SAY.retrying);
      this.retry = setTimeout(() => this.advance(), RETRY_MS);
      return;
    }
    if (!(error instanceof Refused)) throw error;
    this.rest(SAY.refused, error.status === 401 ? SAY.loggedOut(this.outbox.count) : error.message);
  }

  rest(title, text) {
    this.current = null;
    this.busy = false;
    this.screen.showEmpty(title, text);
    this.screen.find("undo-empty").hidden = this.past.length === 0;
    this.screen.find("again").focus({ preventScroll: true });
  }

  focusVerdicts() {
    this.screen.find("verdicts").focus({ preventScroll: true });
  }

  // ---- verdicts ----

  chosen(again) {
    if (this.busy || !this.current) return;
    if (this.task.immediate || again) {
      this.submit();
      return;
    }
    const missing = this.task.complaint();
    if (missing) this.point(missing);
    else {
      say(SAY.enterSends(this.task.phrase()));
      this.focusVerdicts();
    }
  }

  // Says what is missing and puts the focus where it can be given.
  point({ text, focus }, level = "") {
    say(text, level);
    if (focus) focus.focus();
    else this.focusVerdicts();
  }

  submit() {
    if (this.isSettling() || !this.current) return;
    const missing = this.task.complaint();
    if (missing) this.point(missing, "warn");
    else if (this.isUnchanged()) this.keep();
    else this.give();
  }

  isUnchanged() {
    const { revise, before } = this.current;
    return (
      revise && before && JSON.stringify(this.task.answerOf(before)) === JSON.stringify(this.task.answer())
    );
  }

  async keep() {
    this.busy = true;
    this.past.push({ item: this.current.item, state: this.current.before });
    await this.drafts.drop(this.current.item);
    say(SAY.kept);
    await this.advance();
  }

  // Disk first: from here on the label survives the network, the tab and the server.
  async give() {
    this.busy = true;
    const { item, revise } = this.current;
    const { id } = item.assignment;
    const key = newKey();
    const body = { idempotency_key: key, ...this.task.answer(), active_ms: this.timer.elapsed(), revise };
    const phrase = this.task.phrase();
    const url = assignmentUrl(this.config.urls.assignment, id, "submit");
    if (!(await this.keepSafe({ key, url, body, assignment: id }))) return;
    this.past.push({ item, state: this.task.state, key });
    await this.leave(item, revise ? 0 : 1);
    say(revise ? SAY.revised(phrase) : SAY.stored(phrase), "ok");
    await this.advance();
  }

  async keepSafe(row) {
    try {
      await this.outbox.add(row);
      return true;
    } catch {
      this.busy = false; // the browser's own errors differ; what to do about them does not
      say(SAY.notKept, "danger");
      return false;
    }
  }

  async skip(reason) {
    if (this.busy || !this.current || this.current.revise) return;
    this.busy = true;
    const { item } = this.current;
    const { id } = item.assignment;
    const url = assignmentUrl(this.config.urls.assignment, id, "skip");
    if (!(await this.keepSafe({ key: newKey(), url, body: { reason }, assignment: id }))) return;
    await this.leave(item, 0);
    say(SAY.skipped(reason));
    await this.advance();
  }

  async leave(item, labels) {
    this.leases.done(item.assignment.id);
    await this.drafts.drop(item);
    const { done, open } = this.progress;
    this.setProgress({ ...this.progress, done: done + labels, open: Math.max(0, open - labels) });
  }

  // The revision is a new row that supersedes the old one, also where the old one has not been sent yet.
  async undo() {
    if (this.busy) return;
    const last = this.past.pop();
    if (!last) {
      say(SAY.nothingToUndo);
      return;
    }
    this.busy = true;
    this.skipMenu.toggle(false);
    if (this.current) this.parked.push(this.current);
    await this.show({ item: last.item, revise: true, before: last.state });
    say(SAY.reopened(this.task.phrase()));
  }

  // ---- what the server said ----

  sent({ row, answer }) {
    this.leases.forget(row.assignment);
    if (answer.progress && this.outbox.count === 0) this.setProgress(answer.progress);
  }

  refused({ row, error }) {
    this.leases.forget(row.assignment);
    const given = this.past.findIndex((entry) => entry.key === row.key);
    const reasons = Object.values(error.errors ?? {})
      .flat()
      .join(" ");
    const words = `Not stored: ${[error.message, reasons].filter(Boolean).join(" ")}`;
    const [entry] = given >= 0 ? this.past.splice(given, 1) : [];
    // Lost to somebody else (409) is final; anything else can be mended, so the comparison opens again.
    if (entry && error.status !== 409)
      this.parked.push({ item: entry.item, revise: true, before: null, draft: entry.state });
    say(words, "danger");
  }

  tellOutbox() {
    const { state, count } = this.outbox;
    if (state === "offline") say(SAY.offline(count), "warn");
    if (state === "logged-out") say(SAY.loggedOut(count), "danger");
    if (state === "idle" && this.wasAway) say(SAY.sent, "ok");
    if (state !== "sending") this.wasAway = state !== "idle";
  }

  setProgress(progress) {
    this.progress = progress;
    this.screen.progress(progress);
  }
}

const config = JSON.parse(document.getElementById("label-config").textContent);
const workspace = new Workspace(config, document.getElementById("main"), await openStore());
await workspace.start();
