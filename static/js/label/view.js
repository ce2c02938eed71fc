// What is on the screen: prompt, responses, progress, panels. Knows nothing of the network.
import { markDifferences, unmark } from "./diff.js";
import { element, remember, remembered } from "./dom.js";
import { NAME, ROLES, SAY, letter } from "./words.js";

const OPEN_COUNTED_TO = 100; // the server counts no further
const TWO_LINES_PX = 52; // two lines of a prompt at 16 px
const NARROW = matchMedia("(max-width: 899px)");

export class Screen {
  // A preview starts plain, whatever this person has switched on for their own work.
  constructor(root, { isPreview = false } = {}) {
    this.root = root;
    this.isPreview = isPreview;
    this.find = (name) => document.querySelector(`[data-label="${name}"]`);
    this.panes = [];
    this.bodies = [];
    this.plain = false;
    this.toggles = {
      diff: !isPreview && remembered("diff", false),
      sync: !isPreview && remembered("sync", false),
      guidelines: !isPreview && !NARROW.matches && remembered("guidelines", false),
    };
    this.seen = new Set();
    this.onSeen = () => {};
    this.listen();
    this.paintToggles();
    this.collapsePrompt(NARROW.matches);
  }

  listen() {
    this.find("prompt-toggle").addEventListener("click", () => this.collapsePrompt(!this.collapsed));
    NARROW.addEventListener("change", () => this.arrange());
  }

  // ---- building ----

  // As many columns as there are responses; the same ones are kept from one comparison to the next.
  build(n) {
    if (this.panes.length === n) return;
    this.panes = Array.from({ length: n }, (_, side) => this.pane(side));
    this.bodies = this.panes.map((pane) => pane.querySelector(".prose"));
    this.find("panes").replaceChildren(...this.panes);
    this.find("panes").dataset.n = String(n);
    this.find("sides").replaceChildren(...this.panes.map((_, side) => this.sideButton(side)));
    for (const button of document.querySelectorAll('[data-toggle="diff"]')) button.hidden = n !== 2;
    this.setPlain(this.plain);
  }

  pane(side) {
    const pane = element(
      "article",
      { class: "pane scrolls", tabindex: 0, "aria-labelledby": `pane-${side}` },
      element("h2", { class: "pane-name", id: `pane-${side}` }, letter(side)),
      element("div", { class: "prose", dir: "auto" }),
      element("div", { class: "prose raw", dir: "auto", hidden: true }),
      element("div", { class: "pane-fields" }),
    );
    pane.addEventListener("scroll", () => this.follow(side), { passive: true });
    return pane;
  }

  sideButton(side) {
    const attributes = { type: "button", "data-show-side": side, onclick: () => this.showSide(side) };
    return element("button", attributes, letter(side));
  }

  paneFields(side) {
    return this.panes[side].querySelector(".pane-fields");
  }

  get raws() {
    return this.panes.map((pane) => pane.querySelector(".raw"));
  }

  setPlain(plain) {
    this.plain = plain;
    this.root.toggleAttribute("data-plain", plain);
    this.bodies.forEach((body) => (body.hidden = plain));
    this.raws.forEach((raw) => (raw.hidden = !plain));
  }

  // ---- one comparison ----

  show(item) {
    this.mode("reading");
    this.showPrompt(item.comparison.prompt);
    const criterion = this.find("criterion");
    criterion.textContent = item.comparison.criterion ?? "";
    criterion.hidden = !criterion.textContent;
    this.build(item.comparison.responses.length);
    item.comparison.responses.forEach((response, side) => this.fill(side, response));
    if (this.toggles.diff && this.panes.length === 2) markDifferences(...this.bodies);
    this.seen = new Set();
    this.showSide(0);
  }

  showPrompt(turns) {
    const several = turns.length > 1;
    this.find("prompt").replaceChildren(
      ...turns.map(({ role, html }) => {
        const prose = element("div", { class: "prose", dir: "auto" });
        prose.innerHTML = html; // sanitised by the server
        const name = several ? element("span", { class: "turn-role" }, ROLES[role] ?? role) : null;
        return element("div", { class: "turn", "data-role": role }, name, prose);
      }),
    );
    const prompt = this.find("prompt");
    prompt.scrollTop = this.collapsed ? 0 : prompt.scrollHeight;
    this.fitPrompt();
  }

  fill(side, { label, html }) {
    this.panes[side].querySelector(".pane-name").textContent = label;
    this.bodies[side].innerHTML = html; // sanitised by the server
    if (!html) this.bodies[side].append(element("p", { class: "muted" }, NAME.empty));
    this.panes[side].scrollTop = 0;
  }

  // A toggle that would change nothing is not offered.
  fitPrompt() {
    const prompt = this.find("prompt");
    const last = prompt.querySelector(".turn:last-child .prose");
    const short = prompt.childElementCount < 2 && (!last || last.scrollHeight <= TWO_LINES_PX);
    this.find("prompt-toggle").hidden = short;
  }

  collapsePrompt(collapsed) {
    this.collapsed = collapsed;
    const toggle = this.find("prompt-toggle");
    this.root.classList.toggle("prompt-collapsed", collapsed);
    toggle.setAttribute("aria-expanded", String(!collapsed));
    toggle.querySelector("span").textContent = collapsed ? NAME.unfold : NAME.fold;
    this.find("prompt").scrollTop = 0;
    this.fitPrompt();
    return true;
  }

  // mode: "loading" | "reading" | "empty"
  mode(mode) {
    this.root.dataset.mode = mode;
    this.find("reading").hidden = mode === "empty";
    if (!this.isPreview) this.find("empty").hidden = mode !== "empty";
    this.root.setAttribute("aria-busy", String(mode === "loading"));
  }

  showEmpty(title, text) {
    this.mode("empty");
    this.find("empty-title").textContent = title;
    this.find("empty-text").textContent = text;
  }

  progress({ done, open, median_ms: median }) {
    const more = open >= OPEN_COUNTED_TO ? "+" : "";
    this.find("progress").textContent = SAY.progress(done, done + open, more);
    this.find("pace").textContent = median ? SAY.pace(median / 1000) : "";
  }

  // ---- the sides ----

  showSide(side) {
    this.panes.forEach((pane, index) => pane.toggleAttribute("data-shown", index === side));
    this.seen.add(side);
    for (const button of this.root.querySelectorAll("[data-show-side]")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.showSide) === side));
    }
    this.arrange();
  }

  // On a narrow screen one side is hidden: a verdict on a text that was never shown is not a verdict.
  arrange() {
    for (const button of this.root.querySelectorAll("[data-show-side]")) {
      button.toggleAttribute("data-unseen", !this.seen.has(Number(button.dataset.showSide)));
    }
    this.onSeen(!this.isHalfSeen());
    this.reachWideBlocks();
    this.fitPrompt();
  }

  // Code and tables wider than their column scroll sideways; the keyboard must get there too.
  reachWideBlocks() {
    for (const block of this.root.querySelectorAll(".prose pre, .prose table")) {
      const wide = block.scrollWidth > block.clientWidth;
      block.classList.toggle("scrolls-x", wide);
      if (wide) block.tabIndex = 0;
      else block.removeAttribute("tabindex");
    }
  }

  isHalfSeen() {
    return NARROW.matches && this.seen.size < this.panes.length;
  }

  focusSide(side) {
    this.showSide(side);
    this.panes[side].focus({ preventScroll: true });
    this.reveal(side);
    return true;
  }

  // The next one in this direction, from the one that has the focus.
  focusBeside(step) {
    const here = this.panes.findIndex((pane) => pane.contains(document.activeElement));
    const ends = step < 0 ? 0 : this.panes.length - 1;
    const beside = Math.max(0, Math.min(this.panes.length - 1, here + step));
    return this.focusSide(here < 0 || this.panes.length === 2 ? ends : beside);
  }

  // The response that keys act on: marked, in sight, and on a phone the one shown.
  choose(side) {
    this.panes.forEach((pane, index) => pane.toggleAttribute("data-current", index === side));
    if (NARROW.matches) this.showSide(side);
    else this.reveal(side);
  }

  reveal(side) {
    this.panes[side].scrollIntoView({ inline: "nearest", block: "nearest" });
  }

  scrollBy(share) {
    if (NARROW.matches) return false;
    for (const pane of this.panes) pane.scrollTop += share * pane.clientHeight;
    return true;
  }

  // By proportion: responses of different length reach their ends together.
  follow(side) {
    if (!this.toggles.sync || this.following || NARROW.matches) return;
    const from = this.panes[side];
    const others = this.panes.filter((pane) => pane !== from);
    const room = from.scrollHeight - from.clientHeight;
    if (room <= 0) return;
    this.following = true;
    requestAnimationFrame(() => {
      const share = from.scrollTop / room;
      for (const to of others) to.scrollTop = share * (to.scrollHeight - to.clientHeight);
      requestAnimationFrame(() => (this.following = false)); // the others' own scroll events have passed by then
    });
  }

  // ---- toggles ----

  toggle(name) {
    this.toggles[name] = !this.toggles[name];
    remember(name, this.toggles[name]);
    this.paintToggles();
    return name === "diff" ? this.applyDiff() : "";
  }

  paintToggles() {
    for (const button of document.querySelectorAll("[data-toggle]")) {
      button.setAttribute("aria-pressed", String(Boolean(this.toggles[button.dataset.toggle])));
    }
    if (!this.isPreview) this.find("guidelines").hidden = !this.toggles.guidelines;
    this.root.classList.toggle("with-guidelines", this.toggles.guidelines);
  }

  applyDiff() {
    this.bodies.forEach(unmark);
    if (this.panes.length !== 2) return "";
    if (!this.toggles.diff) return SAY.diffOff;
    return markDifferences(...this.bodies) ? SAY.diffOn : SAY.tooLongToDiff;
  }
}
