// A person's own keys. The rest of the screen knows the usual keys only: what is pressed is translated on its way in,
// and every <kbd data-key="u"> shows the key that now does what U usually does.
import { Refused, Unreachable, send } from "./api.js";
import { element } from "./dom.js";
import { SAY } from "./words.js";

export class KeyMap {
  // actions: [{action, key, words}]; own: {action: key}
  constructor({ url, actions, own }, dialog) {
    this.url = url;
    this.actions = actions;
    this.dialog = dialog;
    this.table = dialog.querySelector("[data-label='own-keys']");
    this.line = dialog.querySelector("[data-label='keys-status']");
    this.waiting = null;
    this.use(own);
    dialog.addEventListener("keydown", (event) => this.capture(event), { capture: true });
    dialog.addEventListener("close", () => this.wait(null));
    dialog.querySelector("[data-label='keys-reset']").addEventListener("click", () => this.save({}));
  }

  use(own) {
    this.own = own;
    this.usual = new Map();
    for (const { action, key } of this.actions) if (own[action]) this.usual.set(own[action], key);
    this.moved = new Set(
      this.actions.filter(({ action, key }) => own[action] && /[a-z]/.test(key)).map(({ key }) => key),
    );
    this.paint();
  }

  // The usual key for the pressed one; null when its work was given to another key.
  usualFor(pressed) {
    if (this.usual.has(pressed)) return this.usual.get(pressed);
    return this.moved.has(pressed) ? null : pressed;
  }

  paint() {
    const shown = new Map(this.actions.map(({ action, key }) => [key, this.own[action] ?? key]));
    for (const kbd of document.querySelectorAll("kbd[data-key]"))
      kbd.textContent = (shown.get(kbd.dataset.key) ?? kbd.dataset.key).toUpperCase();
    this.table.replaceChildren(...this.actions.flatMap((action) => this.row(action)));
  }

  row({ action, key, words }) {
    const current = (this.own[action] ?? key).toUpperCase();
    const button = element(
      "button",
      {
        type: "button",
        class: "btn btn--small",
        "data-action": action,
        "aria-label": SAY.changeKey(words, current),
        onclick: () => this.wait(action),
      },
      element("kbd", {}, current),
    );
    return [element("dt", {}, button), element("dd", {}, words)];
  }

  // ---- changing ----

  wait(action) {
    this.waiting = action;
    if (action) this.tell(SAY.pressLetter);
  }

  capture(event) {
    if (!this.waiting) return;
    event.preventDefault();
    event.stopPropagation();
    const action = this.waiting;
    this.wait(null);
    if (event.key === "Escape") this.tell("");
    else this.save({ ...this.own, [action]: event.key.toLowerCase() }, action);
  }

  async save(keys, action = null) {
    try {
      const answer = await send(this.url, { method: "PUT", body: { keys } });
      this.use(answer.keys);
      this.tell(SAY.keySaved);
    } catch (error) {
      if (!(error instanceof Refused || error instanceof Unreachable)) throw error;
      this.tell(error instanceof Refused ? error.message : SAY.noConnection, "danger");
    }
    this.table.querySelector(`[data-action="${action}"]`)?.focus();
  }

  tell(text, level = "") {
    this.line.dataset.level = level;
    this.line.textContent = text;
  }
}
