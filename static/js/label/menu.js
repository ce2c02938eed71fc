// A row of choices that a key opens above the verdict bar (skip, flag); a digit or a click chooses one.
import { element } from "./dom.js";
import { MENU } from "./words.js";

class Menu {
  // choices: [{key, name}]
  constructor({ menu, opener, title, choices, onChoose }) {
    this.menu = menu;
    this.opener = opener;
    this.onChoose = onChoose;
    const buttons = choices.map((choice, index) =>
      element(
        "button",
        { type: "button", class: "btn btn--small", onclick: () => this.choose(choice) },
        element("kbd", { "aria-hidden": "true" }, String(index + 1)),
        choice.name,
      ),
    );
    menu.replaceChildren(element("span", { class: "muted" }, title), ...buttons);
    opener.hidden = choices.length === 0;
    opener.addEventListener("click", () => this.toggle());
  }

  get isOpen() {
    return !this.menu.hidden;
  }

  toggle(open = !this.isOpen) {
    this.menu.hidden = !open;
    this.opener.setAttribute("aria-expanded", String(open));
    if (open) this.menu.querySelector("button").focus();
    return true;
  }

  press(digit) {
    const button = this.menu.querySelectorAll("button")[digit - 1];
    button?.click();
    return Boolean(button);
  }

  choose(choice) {
    this.toggle(false);
    this.onChoose(choice);
  }
}

// Both menus; at most one is open.
export class Menus {
  constructor(find, { skip_reasons: reasons, flags }, { skip, flag }) {
    const menu = (name, choices, onChoose) =>
      new Menu({ menu: find(`${name}-menu`), opener: find(name), title: MENU[name], choices, onChoose });
    this.all = { skip: menu("skip", reasons, skip), flag: menu("flag", flags, flag) };
  }

  get opened() {
    return Object.values(this.all).find(({ isOpen }) => isOpen);
  }

  open(name) {
    const { [name]: menu } = this.all;
    if (menu.opener.hidden) return;
    const open = !menu.isOpen;
    this.close();
    menu.toggle(open);
  }

  close() {
    for (const menu of Object.values(this.all)) if (menu.isOpen) menu.toggle(false);
  }
}
