// The labelling workspace: joins screen, task, leases, outbox and keys. One comparison is open, one is fetched ahead;
// a verdict goes to the outbox on disk first, then the next comparison is shown, then the outbox sends.
import { Refused, Unreachable, assignmentUrl, newKey } from "./label/api.js";
import { commandsOf } from "./label/commands.js";
import { Drafts } from "./label/drafts.js";
import { listen } from "./label/keys.js";
import { Leases } from "./label/leases.js";
import { Highlights } from "./label/highlight.js";
import { KeyMap } from "./label/keymap.js";
import { Menus } from "./label/menu.js";
import { Outbox } from "./label/queue.js";
import { listenToServer } from "./label/replies.js";
import { openStore } from "./label/store.js";
import { TASKS } from "./label/tasks.js";
import { ActiveTimer } from "./label/timer.js";
import { Screen } from "./label/view.js";
import { SAY } from "./label/words.js";
import { say } from "./status.js";

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
    const { screen, config } = this;
    const { find } = screen;
    const places = {
      points: find("points"),
      others: find("others"),
      extras: find("extras"),
      before: find("before"),
      paneFields: (side) => screen.paneFields(side),
    };
    this.task = new TASKS[config.protocol.kind](config.protocol, places, {
      onChoose: (again) => this.chosen(again),
      onEdit: (state) => this.drafts.save(this.current.item, state),
      onLocked: (text, focus) => this.point({ text, focus }, "warn"),
      onSay: say,
      onCurrent: (side) => screen.choose(side),
    });
    this.highlights = new Highlights(config.protocol.span_categories, find("highlights"), {
      task: this.task,
      raws: () => screen.raws,
      onSay: say,
      onLeave: () => this.focusVerdicts(),
    });
    find("highlight").hidden = !this.highlights.offered;
    this.root.toggleAttribute("data-immediate", this.task.immediate);
    find("guideline-text").innerHTML = config.guideline_html; // sanitised by the server
    screen.onSeen = (seen) => this.task.lock(!seen);
    this.menus = new Menus(find, config.protocol, {
      skip: (reason) => this.skip(reason),
      flag: (reason) => this.flag(reason),
    });
    this.keyMap = new KeyMap(config.keys, document.getElementById("keys"));
  }

  // ---- events ----

  listen() {
    const find = this.screen.find;
    find("undo").addEventListener("click", () => this.undo());
    find("send").addEventListener("click", () => this.submit());
    find("again").addEventListener("click", () => this.advance());
    find("highlight").addEventListener("click", () => this.togglePlain());
    find("feedback").addEventListener("close", () => this.timer.restart());
    for (const button of document.querySelectorAll("[data-toggle]")) {
      button.addEventListener("click", () => this.toggle(button.dataset.toggle));
    }
    listenToServer(this);
    addEventListener("pageshow", (event) => event.persisted && location.reload());
    listen(commandsOf(this));
  }

  openMenu(name) {
    if (name === "skip" && this.current?.revise) say(SAY.noSkip);
    else if (this.current) this.menus.open(name);
    return true;
  }

  closeMenus() {
    this.menus.close();
    this.focusVerdicts();
    return true;
  }

  togglePlain() {
    if (!this.highlights.offered || !this.current) return false;
    this.screen.setPlain(!this.screen.plain);
    this.screen.find("highlight").setAttribute("aria-pressed", String(this.screen.plain));
    say(this.screen.plain ? SAY.highlightOn : SAY.highlightOff);
    if (this.screen.plain) this.screen.raws[0].focus({ preventScroll: true });
    else this.focusVerdicts();
    return true;
  }

  toggle(name) {
    const words =
      this.screen.toggle(name) || { sync: this.screen.toggles.sync ? SAY.syncOn : SAY.syncOff }[name];
    if (words) say(words);
    return true;
  }

  get busy() {
    return this.isBusy;
  }

  set busy(isBusy) {
    this.isBusy = isBusy;
    clearTimeout(this.settled);
    this.root.dataset.ready = "false";
  }

  isSettling() {
    return this.busy || performance.now() - this.openedAt < SETTLE_MS;
  }

  // ---- from one comparison to the next ----

  async start() {
    if (!this.store.durable) this.warnOfLoss();
    await this.outbox.recount();
    for (const row of await this.outbox.rows()) if (row.closes) this.leases.away.add(row.assignment);
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
      const item = (await ahead) ?? (await this.ask());
      const id = item.assignment?.id;
      if (item.protocol_version > this.config.protocol.version) return this.reload();
      const alive = !id || !this.leases.isExpired(id) || (await this.leases.renew(id));
      return alive ? item : await this.ask();
    } finally {
      clearTimeout(soon);
    }
  }

  ask() {
    return this.leases.next({ progress: !this.progress });
  }

  // The owner asks otherwise now. Nothing may be shown on the way out: the promise stays open.
  reload() {
    location.reload();
    return new Promise(() => {});
  }

  fetchAhead() {
    const current = this.ask();
    this.ahead = current.then((item) => (item.assignment ? item : null)).catch(() => null); // asked again when needed
  }

  async show(entry) {
    clearTimeout(this.retry);
    const draft = await this.drafts.read(entry.item);
    this.current = entry;
    this.screen.show(entry.item);
    const { responses } = entry.item.comparison;
    this.task.show(draft ?? entry.draft ?? entry.before ?? {}, responses.length);
    this.highlights.show(responses.map(({ text }) => text));
    this.screen.arrange();
    if (!this.progress) this.setProgress(entry.item.progress);
    this.root.toggleAttribute("data-revising", entry.revise);
    this.screen.find("undo").disabled = this.past.length === 0;
    this.screen.find("skip").disabled = entry.revise;
    this.screen.find("verdicts").setAttribute("aria-label", SAY.verdictOn(this.progress.done + 1));
    this.timer.restart();
    this.openedAt = performance.now();
    this.busy = false;
    this.focusVerdicts();
    this.settled = setTimeout(() => (this.root.dataset.ready = "true"), SETTLE_MS);
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

  // What the next key is for; from a field that must be filled first, Escape still leads out.
  focusVerdicts({ leaving = false } = {}) {
    const stop = this.current && !leaving && this.task.firstStop;
    (stop || this.screen.find("verdicts")).focus({ preventScroll: true });
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
    const { version } = this.config.protocol;
    const given = { ...this.task.answer(), active_ms: this.timer.elapsed(), protocol_version: version };
    const body = { idempotency_key: key, ...given, revise };
    const phrase = this.task.phrase();
    const url = assignmentUrl(this.config.urls.assignment, id, "submit");
    if (!(await this.keepSafe({ key, url, body, assignment: id, closes: true }))) return;
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

  async skip({ key: reason, name }) {
    if (this.busy || !this.current || this.current.revise) return;
    this.busy = true;
    const { item } = this.current;
    const { id } = item.assignment;
    const url = assignmentUrl(this.config.urls.assignment, id, "skip");
    const row = { key: newKey(), url, body: { reason }, assignment: id, closes: true };
    if (!(await this.keepSafe(row))) return;
    await this.leave(item, 0);
    say(SAY.skipped(name));
    await this.advance();
  }

  // A remark to the owner; the comparison stays open.
  async flag({ key: reason, name }) {
    if (!this.current) return;
    const { id } = this.current.item.assignment;
    const url = assignmentUrl(this.config.urls.assignment, id, "flag");
    await this.outbox.add({ key: newKey(), url, body: { reason }, assignment: id, closes: false });
    say(SAY.flagged(name), "ok");
    this.focusVerdicts();
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
    this.menus.close();
    if (this.current) this.parked.push(this.current);
    await this.show({ item: last.item, revise: true, before: last.state });
    say(SAY.reopened(this.task.phrase()));
  }

  // A label that the server did not take is no longer one of those given.
  takeBack(key, { reopen }) {
    const given = this.past.findIndex((entry) => entry.key === key);
    const [entry] = given >= 0 ? this.past.splice(given, 1) : [];
    if (entry && reopen)
      this.parked.push({ item: entry.item, revise: true, before: null, draft: entry.state });
  }

  setProgress(progress) {
    this.progress = progress;
    this.screen.progress(progress);
  }
}

const config = JSON.parse(document.getElementById("label-config").textContent);
const workspace = new Workspace(config, document.getElementById("main"), await openStore());
await workspace.start();
