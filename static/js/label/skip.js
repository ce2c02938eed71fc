// The row of reasons that S opens above the verdict bar; a digit or a click chooses one.
import { element } from "./dom.js";
import { SKIP_REASONS } from "./words.js";

export class SkipMenu {
  constructor(menu, opener, onSkip) {
    this.menu = menu;
    this.opener = opener;
    this.onSkip = onSkip;
    const buttons = SKIP_REASONS.map((reason, index) =>
      element(
        "button",
        { type: "button", class: "btn btn--small", onclick: () => this.choose(reason) },
        element("kbd", { "aria-hidden": "true" }, String(index + 1)),
        reason,
      ),
    );
    menu.append(element("span", { class: "muted" }, "Skip, because …"), ...buttons);
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

  choose(reason) {
    this.toggle(false);
    this.onSkip(reason);
  }
}
