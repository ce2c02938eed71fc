// The owner's protocol form: rows of aspects, and beside it the task as people will see it, built from what the server
// makes of the form. The task is the workspace's own code, so that the preview cannot differ from the screen.
import { csrfToken } from "./csrf.js";
import { element } from "./label/dom.js";
import { TASKS } from "./label/tasks.js";
import { letter } from "./label/words.js";

const PAUSE_MS = 300;
const SHOWN = { pairwise: 2, ranking: 4, rating: 3 };
const WORDS = ["A short answer.", "A longer answer, with a reason.", "Another answer.", "One more answer."];

class AspectRows {
  constructor(form) {
    this.rows = form.querySelector("[data-aspects]");
    this.template = form.querySelector("[data-aspect-template]");
    this.total = form.elements["aspects-TOTAL_FORMS"];
    form.querySelector("[data-aspect-add]").addEventListener("click", () => this.add());
    form.addEventListener("click", (event) => this.remove(event));
  }

  add() {
    const index = Number(this.total.value);
    const html = this.template.innerHTML.replaceAll("__prefix__", String(index));
    this.rows.insertAdjacentHTML("beforeend", html);
    this.total.value = String(index + 1);
    this.rows.lastElementChild.querySelector("input:not([type='hidden'])").focus();
  }

  // A row without a name is left out by the server; the row itself stays, so that numbers need not change.
  remove(event) {
    const row = event.target.closest("[data-aspect-remove]")?.closest("[data-aspect-row]");
    if (!row) return;
    row.querySelector("input[name$='-name']").value = "";
    row.hidden = true;
    this.total.form.dispatchEvent(new Event("input", { bubbles: true }));
  }
}

class Preview {
  constructor(form) {
    this.form = form;
    this.host = form.querySelector("[data-preview]");
    this.errors = form.querySelector("[data-preview-errors]");
    this.asked = 0;
    form.addEventListener("input", () => this.soon());
    this.load();
  }

  part(name) {
    return this.host.querySelector(`[data-preview-part="${name}"]`);
  }

  soon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.load(), PAUSE_MS);
  }

  async load() {
    this.asked += 1;
    const { asked } = this;
    const answer = await fetch(this.form.dataset.previewUrl, {
      method: "POST",
      headers: { "X-CSRFToken": csrfToken() },
      body: new FormData(this.form),
    }).catch(() => null); // no network: the last preview stays
    const isJson = answer?.headers.get("Content-Type")?.includes("json");
    const { protocol, errors } = isJson ? await answer.json() : {};
    if (asked !== this.asked || !(protocol || errors)) return; // a later change has asked again
    this.host.hidden = false;
    this.errors.replaceChildren(...(errors ?? []).map((words) => element("p", { class: "error" }, words)));
    if (protocol) this.show(protocol);
  }

  show(protocol) {
    const n = SHOWN[protocol.kind];
    const panes = Array.from({ length: n }, (_, place) => this.pane(place));
    this.part("panes").replaceChildren(...panes);
    const places = {
      paneFields: (place) => panes[place].querySelector(".pane-fields"),
      ...Object.fromEntries(
        ["points", "others", "extras", "before"].map((name) => [name, this.part(name)]),
      ),
    };
    const nothing = () => {};
    const events = { onChoose: nothing, onEdit: nothing, onLocked: nothing, onSay: nothing, onCurrent: nothing };
    new TASKS[protocol.kind](protocol, places, events).show({}, n);
    this.part("more").textContent = this.more(protocol);
  }

  pane(place) {
    return element(
      "article",
      { class: "pane", "data-shown": true },
      element("p", { class: "pane-name" }, letter(place)),
      element("div", { class: "prose" }, element("p", {}, WORDS[place])),
      element("div", { class: "pane-fields" }),
    );
  }

  more({ flags, skip_reasons: skips, span_categories: spans }) {
    const list = (title, rows) => rows.length > 0 && `${title}: ${rows.map(({ name }) => name).join(", ")}`;
    return [list("Highlights", spans), list("Flags", flags), list("Skip", skips)].filter(Boolean).join(" · ");
  }
}

const form = document.getElementById("protocol-form");
new AspectRows(form);
new Preview(form);
