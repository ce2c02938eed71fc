// Loaded by every page: htmx's manners, the status line, sortable tables, copy buttons.
import "./copy.js";
import { csrfToken } from "./csrf.js";
import { say } from "./status.js";
import { prepareTables } from "./tables.js";
import { gettext } from "./translate.js";

document.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-CSRFToken"] = csrfToken();
});

document.addEventListener("htmx:responseError", (event) => {
  const { status, responseText } = event.detail.xhr;
  say(problemSentence(status, responseText), "danger");
});

document.addEventListener("htmx:sendError", () => {
  say(gettext("The server cannot be reached; what you see may be out of date."), "warn");
});

document.addEventListener("htmx:load", (event) => prepareTables(event.detail.elt));
prepareTables(document);

// On a phone the tabs scroll sideways: the current one of each row must be in sight.
for (const tab of document.querySelectorAll(".tabs [aria-current]")) {
  tab.scrollIntoView({ inline: "center", block: "nearest" });
}

// <select data-autosubmit> sends its form when changed; without JavaScript the form's own button does.
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-autosubmit]")) event.target.form.requestSubmit();
});

// <a data-dialog="#id"> or <button data-dialog="#id"> opens a <dialog>; [data-close] inside closes it.
document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-dialog]");
  if (opener) {
    event.preventDefault();
    document.querySelector(opener.dataset.dialog)?.showModal();
  }
  event.target.closest("[data-close]")?.closest("dialog")?.close();
});

// A hint opens when the keyboard reaches it; it closes on Escape and when focus or pointer go elsewhere.
document.addEventListener("focusin", (event) => {
  const hint = event.target.closest("details.hint");
  closeHints(hint);
  if (hint && event.target.matches(":focus-visible")) hint.open = true;
});
document.addEventListener("toggle", keepHintInSight, { capture: true });
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") closeHints();
});
document.addEventListener("click", (event) => closeHints(event.target.closest("details.hint")));

function closeHints(except = null) {
  for (const hint of document.querySelectorAll("details.hint[open]")) {
    if (hint !== except) hint.open = false;
  }
}

function keepHintInSight({ target: hint }) {
  if (!hint.matches("details.hint[open]")) return;
  hint.classList.remove("hint--end");
  const { right } = hint.lastElementChild.getBoundingClientRect();
  hint.classList.toggle("hint--end", right > document.documentElement.clientWidth);
}

function problemSentence(status, body) {
  try {
    const problem = JSON.parse(body);
    return problem.detail || problem.title;
  } catch {
    return gettext(
      "The server answered %(status)s; nothing was changed on this page. Reload and try again.",
      { status },
    );
  }
}
