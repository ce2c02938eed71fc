// The owner's protocol form: rows of aspects, and beside it the task as people will see it, built from what the server
// makes of the form.
import { csrfToken } from "./csrf.js";
import { element } from "./label/dom.js";
import { Sample } from "./label/sample.js";

const PAUSE_MS = 300;

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

// Asks the server what the form makes, and shows it.
class Preview {
  constructor(form) {
    this.form = form;
    this.host = form.querySelector("[data-preview]");
    this.errors = form.querySelector("[data-preview-errors]");
    this.root = this.host.querySelector("[data-preview-screen]");
    this.blank = [...this.root.childNodes].map((node) => node.cloneNode(true));
    this.asked = 0;
    this.shown = "";
    form.addEventListener("input", (event) => this.host.contains(event.target) || this.soon());
    form.addEventListener("keydown", (event) => this.keepFromSaving(event));
    this.load();
  }

  // The preview stands inside the form; Enter in one of its fields must not save the protocol.
  keepFromSaving(event) {
    if (event.key === "Enter" && this.host.contains(event.target) && event.target.matches("input"))
      event.preventDefault();
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
    if (protocol && JSON.stringify(protocol) !== this.shown) this.show(protocol);
  }

  // What the owner has tried out stays until the form asks for something else.
  show(protocol) {
    this.shown = JSON.stringify(protocol);
    this.root.replaceChildren(...this.blank.map((node) => node.cloneNode(true)));
    const said = this.host.querySelector("[data-preview-said]");
    said.textContent = "";
    new Sample(this.root, protocol, (words) => (said.textContent = words));
  }
}

const form = document.getElementById("protocol-form");
new AspectRows(form);
new Preview(form);
