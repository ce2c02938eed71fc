// The pairwise task: the verdict bar, what has been chosen, and the body of a submit. Another task kind is another
// module with the same members: show, press, move, cannotJudge, writeWhy,
// chosen, immediate, complaint, answer, answerOf, phrase, lock.
import { element } from "./dom.js";
import { SAY, pointName, pointPhrase } from "./words.js";

const UNDIRECTED = { both_bad: "both are bad", cannot_judge: "cannot judge" };
const NOTHING = { verdict: "", strength: 0, aspects: {}, rationale: "" };

export class PairwiseTask {
  // places: {points, others, extras}, empty elements of the verdict bar.
  constructor(protocol, places, { onChoose, onEdit, onLocked }) {
    this.protocol = protocol;
    this.half = Math.floor(protocol.scale_points / 2);
    this.onChoose = onChoose;
    this.onEdit = onEdit;
    this.onLocked = onLocked;
    this.locked = false;
    this.state = { ...NOTHING };
    this.strengths = this.scale();
    this.buttons = new Map();
    this.buildVerdicts(places);
    this.buildExtras(places.extras);
  }

  scale() {
    const degrees = Array.from({ length: this.half }, (_, i) => i + 1);
    const tie = this.protocol.allow_tie ? [0] : [];
    return [...degrees.map((degree) => -degree).reverse(), ...tie, ...degrees];
  }

  // ---- building ----

  buildVerdicts({ points, others }) {
    points.dataset.many = String(this.strengths.length > 5);
    this.strengths.forEach((strength, index) => {
      points.append(
        this.verdictButton(
          String(index + 1),
          pointName(strength, this.half),
          strength === 0 ? "tie" : "ranked",
          strength,
        ),
      );
    });
    if (this.protocol.allow_both_bad) others.append(this.verdictButton("0", "Both bad", "both_bad"));
    if (this.protocol.allow_cannot_judge)
      others.append(this.verdictButton("X", "Cannot judge", "cannot_judge"));
  }

  verdictButton(key, name, verdict, strength = 0) {
    const button = element(
      "button",
      {
        type: "button",
        class: "point",
        "aria-pressed": "false",
        "aria-keyshortcuts": key,
        "data-side": Math.sign(strength),
        onclick: () => this.choose(verdict, strength),
      },
      element("kbd", { "aria-hidden": "true" }, key),
      element("span", {}, name),
    );
    this.buttons.set(`${verdict}:${strength}`, button);
    return button;
  }

  buildExtras(extras) {
    this.aspects = this.protocol.aspects.map((aspect) => this.aspectField(aspect));
    extras.append(...this.aspects);
    this.why = null;
    if (this.protocol.rationale !== "off") extras.append(this.whyField());
  }

  aspectField({ key, name }) {
    const radios = this.strengths.map((strength) =>
      element(
        "label",
        { title: `${name}: ${pointPhrase(strength, this.half)}` },
        element("input", {
          type: "radio",
          name: `aspect-${key}`,
          value: strength,
          onchange: () => this.setAspect(key, strength),
        }),
        element("span", { class: "visually-hidden" }, pointPhrase(strength, this.half)),
      ),
    );
    return element(
      "fieldset",
      { class: "aspect", "data-aspect": key, "data-name": name },
      element("legend", {}, name),
      element("span", { class: "aspect-end", "aria-hidden": "true" }, "A"),
      ...radios,
      element("span", { class: "aspect-end", "aria-hidden": "true" }, "B"),
    );
  }

  whyField() {
    const required = this.protocol.rationale === "required";
    this.why = element("textarea", {
      id: "why",
      rows: 1,
      maxlength: 5000,
      "aria-required": required,
      placeholder: required ? SAY.whyRequired : SAY.whyOptional,
      oninput: () => this.edit({ rationale: this.why.value }),
    });
    return element(
      "div",
      { class: "why" },
      element("label", { for: "why", class: "visually-hidden" }, "Why?"),
      this.why,
    );
  }

  // ---- what the person does ----

  // Choosing the chosen verdict again sends it, so that one key is always enough.
  choose(verdict, strength) {
    if (this.locked) {
      this.onLocked();
      return;
    }
    const again = this.state.verdict === verdict && this.state.strength === strength;
    this.edit({ verdict, strength });
    this.onChoose(again);
  }

  press(digit) {
    const aspect = document.activeElement?.closest?.(".aspect");
    if (aspect) return this.pressAspect(aspect, digit);
    const button = digit === 0 ? this.buttons.get("both_bad:0") : this.pointButton(digit);
    button?.click();
    return Boolean(button);
  }

  pointButton(digit) {
    const strength = this.strengths[digit - 1];
    return this.buttons.get(`${strength === 0 ? "tie" : "ranked"}:${strength}`);
  }

  pressAspect(aspect, digit) {
    const radio = aspect.querySelectorAll("input")[digit - 1];
    if (!radio) return false;
    radio.click();
    this.onChoose(false);
    return true;
  }

  cannotJudge() {
    const button = this.buttons.get("cannot_judge:0");
    button?.click();
    return Boolean(button);
  }

  setAspect(key, strength) {
    this.edit({ aspects: { ...this.state.aspects, [key]: strength } });
  }

  // J and K walk through the aspects and the rationale.
  move(step) {
    const stops = [
      ...this.aspects.map((aspect) => aspect.querySelector("input:checked") ?? aspect.querySelector("input")),
      this.why,
    ].filter(Boolean);
    if (stops.length === 0) return false;
    const here = stops.findIndex((stop) => stop.closest(".aspect, .why").contains(document.activeElement));
    const to =
      here < 0 ? (step > 0 ? 0 : stops.length - 1) : Math.max(0, Math.min(stops.length - 1, here + step));
    stops[to].focus();
    return true;
  }

  writeWhy() {
    this.why?.focus();
    return Boolean(this.why);
  }

  edit(change) {
    this.state = { ...this.state, ...change };
    this.paint();
    this.onEdit(this.state);
  }

  // ---- what the screen asks ----

  show(state = {}) {
    this.state = { ...NOTHING, ...state, aspects: { ...(state.aspects ?? {}) } };
    this.paint();
  }

  get chosen() {
    return this.state.verdict !== "";
  }

  // Whether a verdict alone completes the label, so that it can be sent at once.
  get immediate() {
    return this.protocol.aspects.length === 0 && this.protocol.rationale !== "required";
  }

  // The first thing that is missing: a sentence and where to put the focus; null when the label is complete.
  complaint() {
    if (!this.chosen) return { text: SAY.chooseFirst, focus: null };
    const open =
      this.isDirected() && this.aspects.find((aspect) => !(aspect.dataset.aspect in this.state.aspects));
    if (open) return { text: SAY.aspectMissing(open.dataset.name), focus: open.querySelector("input") };
    const least = Math.max(1, this.protocol.rationale_min_chars);
    const short = this.protocol.rationale === "required" && this.state.rationale.trim().length < least;
    return short ? { text: SAY.rationaleMissing(least), focus: this.why } : null;
  }

  isDirected(verdict = this.state.verdict) {
    return !(verdict in UNDIRECTED);
  }

  answer() {
    return this.answerOf(this.state);
  }

  answerOf({ verdict, strength, aspects, rationale }) {
    return {
      verdict,
      strength: verdict === "ranked" ? strength : 0,
      aspects: this.isDirected(verdict) ? aspects : {},
      rationale: rationale.trim(),
    };
  }

  phrase() {
    return UNDIRECTED[this.state.verdict] ?? pointPhrase(this.state.strength, this.half);
  }

  lock(locked) {
    this.locked = locked;
    for (const button of this.buttons.values()) button.setAttribute("aria-disabled", String(locked));
  }

  paint() {
    const chosen = `${this.state.verdict}:${this.state.verdict === "ranked" ? this.state.strength : 0}`;
    for (const [name, button] of this.buttons) button.setAttribute("aria-pressed", String(name === chosen));
    for (const aspect of this.aspects) {
      const value = this.state.aspects[aspect.dataset.aspect];
      for (const radio of aspect.querySelectorAll("input")) radio.checked = Number(radio.value) === value;
    }
    if (this.why && this.why.value !== this.state.rationale) this.why.value = this.state.rationale;
  }
}
