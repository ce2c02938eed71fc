// Highlights: passages of the raw texts with a category. Formatting moves characters about, so passages are chosen in a
// plain view of each text, where what is selected is what is stored: offsets in Unicode code points, the end excluded.
import { element } from "./dom.js";
import { NAME, SAY, letter } from "./words.js";

const SHOWN_CHARS = 40;

// The browser counts in UTF-16 units: an emoji is two of them and one code point.
export function toCodePoints(text, units) {
  return [...text.slice(0, units)].length;
}

export function toUnits(text, points) {
  return [...text].slice(0, points).join("").length;
}

export class Highlights {
  // host: where categories and the list of highlights stand; panes(): elements for the plain texts, in order.
  constructor(categories, host, { task, raws, onSay, onLeave }) {
    Object.assign(this, { categories, host, task, raws, onSay, onLeave });
    this.texts = [];
    this.selected = null; // {place, start, end} in UTF-16 units
    if (!this.offered) return;
    this.list = element("ul", { class: "spans plain" });
    host.append(
      element("fieldset", { class: "highlights" }, element("legend", {}, NAME.highlight), ...this.buttons()),
      this.list,
    );
    document.addEventListener("selectionchange", () => this.remember());
  }

  get offered() {
    return this.categories.length > 0;
  }

  buttons() {
    return this.categories.map(({ name }, index) =>
      element(
        "button",
        {
          type: "button",
          class: "btn btn--small",
          "data-category": index,
          onmousedown: (event) => event.preventDefault(), // the selection must outlive the click
          onclick: () => this.mark(index),
        },
        element("kbd", { "aria-hidden": "true" }, String(index + 1)),
        name,
      ),
    );
  }

  show(texts) {
    this.texts = texts;
    this.selected = null;
    if (!this.offered) return;
    this.raws().forEach((raw, place) => this.prepare(raw, place));
    this.paint();
  }

  // Editable as far as the browser knows, because that gives keyboards a caret and a selection; nothing can be typed.
  prepare(raw, place) {
    for (const [name, value] of Object.entries({
      contenteditable: "true",
      role: "textbox",
      "aria-multiline": "true",
      "aria-readonly": "true",
      "aria-label": SAY.plainText(letter(place)),
      inputmode: "none",
      spellcheck: "false",
    }))
      raw.setAttribute(name, value);
    raw.onbeforeinput = (event) => event.preventDefault();
    raw.oninput = () => this.paint(); // some input methods cannot be stopped: put the text back
    raw.onkeydown = (event) => this.keydown(event, place);
  }

  keydown(event, place) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (/^[1-9]$/.test(event.key)) this.mark(Number(event.key) - 1);
    else if (event.key === "Delete" || event.key === "Backspace") this.removeAtCaret(place);
    else if (event.key === "Escape") this.onLeave();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  // ---- selecting ----

  remember() {
    const selection = getSelection();
    if (selection.rangeCount === 0) return;
    const range = selection.getRangeAt(0);
    const place = this.raws().findIndex((raw) => raw.contains(range.startContainer));
    const raw = this.raws()[place];
    if (!raw || !raw.contains(range.endContainer)) return;
    this.selected = {
      place,
      start: unitsBefore(raw, range.startContainer, range.startOffset),
      end: unitsBefore(raw, range.endContainer, range.endOffset),
    };
  }

  mark(index) {
    this.remember(); // the browser tells of a selection late
    const category = this.categories[index];
    const chosen = this.selected;
    if (!category) return;
    if (!chosen || chosen.start === chosen.end) {
      this.onSay(SAY.selectFirst, "warn");
      return;
    }
    const text = this.texts[chosen.place];
    const span = {
      response: chosen.place,
      start: toCodePoints(text, chosen.start),
      end: toCodePoints(text, chosen.end),
      category: category.key,
    };
    // A passage has one category: the new one replaces what it touches.
    this.change((spans) => [...spans.filter((old) => !overlaps(old, span)), span]);
    this.caret(chosen.place, chosen.end);
    this.onSay(SAY.highlighted(category.name, this.excerpt(span)), "ok");
  }

  removeAtCaret(place) {
    this.remember();
    const at = this.selected?.place === place ? toCodePoints(this.texts[place], this.selected.end) : -1;
    const span = this.task.state.spans.find(
      ({ response, start, end }) => response === place && start <= at && at <= end,
    );
    if (span) this.remove(span);
    else this.onSay(SAY.noHighlightHere);
  }

  remove(span) {
    const back = this.selected;
    this.change((spans) => spans.filter((old) => old !== span));
    if (back && this.raws()[back.place]?.contains(document.activeElement)) this.caret(back.place, back.end);
    this.onSay(SAY.highlightRemoved(this.excerpt(span)));
  }

  change(edit) {
    this.task.edit(({ spans }) => ({ spans: edit(spans) }));
    this.paint();
  }

  // ---- painting ----

  excerpt({ response, start, end }) {
    const words = [...this.texts[response]].slice(start, end);
    return words.length > SHOWN_CHARS ? `${words.slice(0, SHOWN_CHARS).join("")}…` : words.join("");
  }

  paint() {
    if (!this.offered) return;
    this.raws().forEach((raw, place) => this.paintText(raw, place));
    const spans = [...this.task.state.spans].sort((a, b) => a.response - b.response || a.start - b.start);
    this.list.replaceChildren(...spans.map((span) => this.row(span)));
  }

  paintText(raw, place) {
    const text = this.texts[place];
    const own = this.task.state.spans
      .filter(({ response }) => response === place)
      .sort((a, b) => a.start - b.start);
    const nodes = [];
    let at = 0;
    for (const { start, end, category } of own) {
      const [from, to] = [toUnits(text, start), toUnits(text, end)];
      nodes.push(text.slice(at, from));
      const index = this.categories.findIndex(({ key }) => key === category);
      const name = this.categories[index]?.name ?? category;
      nodes.push(element("mark", { class: "span", "data-category": index, title: name }, text.slice(from, to)));
      at = to;
    }
    raw.replaceChildren(...[...nodes, text.slice(at)].filter((node) => node !== ""));
  }

  row(span) {
    const index = this.categories.findIndex(({ key }) => key === span.category);
    const name = this.categories[index]?.name ?? span.category;
    const words = `${letter(span.response)} · ${name}: ${this.excerpt(span)}`;
    return element(
      "li",
      {},
      element("span", { class: "span", "data-category": index, dir: "auto" }, words),
      element(
        "button",
        {
          type: "button",
          class: "btn btn--quiet btn--small",
          "aria-label": SAY.removeHighlight(words),
          onclick: () => this.remove(span),
        },
        "×",
      ),
    );
  }

  caret(place, units) {
    const raw = this.raws()[place];
    const walker = document.createTreeWalker(raw, NodeFilter.SHOW_TEXT);
    let left = units;
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
      if (left <= node.length) {
        getSelection().collapse(node, left);
        return;
      }
      left -= node.length;
    }
  }
}

function unitsBefore(raw, node, offset) {
  const range = document.createRange();
  range.selectNodeContents(raw);
  range.setEnd(node, offset);
  return range.toString().length;
}

function overlaps(a, b) {
  return a.response === b.response && a.start < b.end && b.start < a.end;
}
