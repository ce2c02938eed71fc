// What a label may hold beside its verdict. Every field has the same members: element, stop (what takes the focus),
// press(digit), paint(state), missing(state): a sentence, or "" when nothing is missing.
import { element } from "./dom.js";
import { NAME, SAY, letter, pointPhrase } from "./words.js";

// A row of radio buttons; value is what the state holds for it.
class RadioRow {
  constructor({ name, title, choices, onPick, attributes = {}, ends = [] }) {
    this.title = title;
    const radios = choices.map(({ value, words, face }) =>
      element(
        "label",
        { title: words },
        element("input", { type: "radio", name, value, onchange: () => onPick(value) }),
        face ? element("span", { class: "face", "aria-hidden": "true" }, face) : null,
        element("span", { class: "visually-hidden" }, words),
      ),
    );
    const end = (text) => element("span", { class: "aspect-end", "aria-hidden": "true" }, text);
    this.element = element(
      "fieldset",
      attributes,
      element("legend", {}, title),
      ends[0] ? end(ends[0]) : null,
      ...radios,
      ends[1] ? end(ends[1]) : null,
    );
  }

  get radios() {
    return [...this.element.querySelectorAll("input")];
  }

  get stop() {
    return this.element.querySelector("input:checked") ?? this.element.querySelector("input");
  }

  // Ten points need ten keys: 0 is the tenth.
  press(digit) {
    const radio = this.radios[digit === 0 ? 9 : digit - 1];
    radio?.click();
    return Boolean(radio);
  }

  check(value) {
    for (const radio of this.radios) radio.checked = value !== undefined && Number(radio.value) === value;
  }
}

export class StrengthField extends RadioRow {
  constructor({ key, name }, strengths, half, onEdit) {
    super({
      name: `aspect-${key}`,
      title: name,
      choices: strengths.map((value) => ({ value, words: `${name}: ${pointPhrase(value, half)}` })),
      onPick: (value) => onEdit((state) => ({ aspects: { ...state.aspects, [key]: value } })),
      attributes: { class: "aspect", "data-aspect": key },
      ends: ["A", "B"],
    });
    this.key = key;
  }

  paint(state) {
    this.check(state.aspects[this.key]);
  }

  missing(state) {
    return this.key in state.aspects ? "" : SAY.aspectMissing(this.title);
  }
}

export class RatingField extends RadioRow {
  constructor({ key, name }, place, points, onEdit) {
    const response = letter(place);
    super({
      name: `rating-${key}-${place}`,
      title: name,
      choices: Array.from({ length: points }, (_, index) => ({
        value: index + 1,
        words: SAY.ratingOf(response, name, index + 1, points),
        face: String(index + 1),
      })),
      onPick: (value) => onEdit((state) => ({ ratings: rated(state.ratings, key, place, value) })),
      attributes: { class: "rating", "data-rating": key, "data-place": place },
    });
    Object.assign(this, { key, place, response });
  }

  paint(state) {
    this.check(state.ratings[this.key]?.[this.place] ?? undefined);
  }

  missing(state) {
    return state.ratings[this.key]?.[this.place] ? "" : SAY.ratingMissing(this.title, this.response);
  }
}

function rated(ratings, key, place, value) {
  const row = [...(ratings[key] ?? [])];
  row[place] = value;
  return { ...ratings, [key]: Array.from(row, (rating) => rating ?? null) };
}

// Check boxes: a digit ticks and unticks. Nothing here is ever missing.
export class ReasonsField {
  constructor({ key, name, reasons }, onEdit) {
    this.key = key;
    this.reasons = reasons;
    const boxes = reasons.map((reason, index) =>
      element(
        "label",
        {},
        element("input", {
          type: "checkbox",
          value: reason,
          onchange: () => onEdit((state) => ({ reasons: { ...state.reasons, [key]: this.ticked() } })),
        }),
        element("kbd", { "aria-hidden": "true" }, String(index + 1)),
        reason,
      ),
    );
    this.element = element(
      "fieldset",
      { class: "reasons", "data-reasons": key },
      element("legend", {}, SAY.because(name)),
      ...boxes,
    );
  }

  get boxes() {
    return [...this.element.querySelectorAll("input")];
  }

  get stop() {
    return this.boxes[0];
  }

  ticked() {
    return this.boxes.filter((box) => box.checked).map((box) => box.value);
  }

  press(digit) {
    const box = this.boxes[digit - 1];
    box?.click();
    return Boolean(box);
  }

  paint(state) {
    for (const box of this.boxes) box.checked = (state.reasons[this.key] ?? []).includes(box.value);
  }

  missing() {
    return "";
  }
}

export class WhyField {
  constructor(protocol, onEdit) {
    this.required = protocol.rationale === "required";
    this.least = Math.max(1, protocol.rationale_min_chars);
    this.stop = element("textarea", {
      id: "why",
      rows: 1,
      maxlength: 5000,
      "aria-required": String(this.required),
      placeholder: this.required ? SAY.whyRequired : SAY.whyOptional,
      oninput: () => onEdit(() => ({ rationale: this.stop.value })),
    });
    const label = element("label", { for: "why", class: "visually-hidden" }, NAME.why);
    this.element = element("div", { class: "why" }, label, this.stop);
  }

  press() {
    return false;
  }

  paint(state) {
    if (this.stop.value !== state.rationale) this.stop.value = state.rationale;
  }

  missing(state) {
    const short = this.required && state.rationale.trim().length < this.least;
    return short ? SAY.rationaleMissing(this.least) : "";
  }
}
