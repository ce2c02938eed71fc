// What all task kinds share: the state of one label, its fields, and the body of a submit. A kind adds its verdict:
// buildVerdict, verdictOf(state), verdictComplaint, showVerdict, paintVerdict, pressVerdict, verdictPhrase.
import { element } from "./dom.js";
import { RatingField, ReasonsField, StrengthField, WhyField } from "./fields.js";
import { NAME, SAY, UNDIRECTED } from "./words.js";

const NOTHING = { verdict: "", strength: 0, rationale: "" };
const inOrder = (a, b) => a.response - b.response || a.start - b.start || a.end - b.end;

export class Task {
  // places: {points, others, extras, before, paneFields(place)}; events: {onChoose, onEdit, onLocked, onSay, onCurrent}
  constructor(protocol, places, events) {
    this.protocol = protocol;
    this.places = places;
    this.events = events;
    this.unseen = false;
    this.n = 0;
    this.buttons = new Map();
    this.half = Math.floor(protocol.scale_points / 2);
    this.strengths = this.scale();
    this.edit = this.edit.bind(this);
    for (const place of [places.points, places.others, places.extras, places.before]) place.replaceChildren();
    this.buildVerdict();
    this.buildFields();
  }

  // ---- building ----

  scale() {
    const degrees = Array.from({ length: this.half }, (_, index) => index + 1);
    const tie = this.protocol.allow_tie ? [0] : [];
    return [...degrees.map((degree) => -degree).reverse(), ...tie, ...degrees];
  }

  buildUndirected(bothBad) {
    const { others } = this.places;
    if (this.protocol.allow_both_bad)
      others.append(this.verdictButton(bothBad.key, bothBad.name, "both_bad"));
    if (this.protocol.allow_cannot_judge)
      others.append(this.verdictButton("x", NAME.cannotJudge, "cannot_judge"));
  }

  verdictButton(key, name, verdict, strength = 0) {
    const button = element(
      "button",
      {
        type: "button",
        class: "point",
        "aria-pressed": "false",
        "data-side": Math.sign(strength),
        onclick: () => this.choose(verdict, strength),
      },
      element("kbd", { "aria-hidden": "true", "data-key": key }, key.toUpperCase()),
      element("span", {}, name),
    );
    this.buttons.set(`${verdict}:${strength}`, button);
    return button;
  }

  buildFields() {
    const { protocol, places } = this;
    const weighed = protocol.strengths.map(
      (aspect) => new StrengthField(aspect, this.strengths, this.half, this.edit),
    );
    const reasons = protocol.reasons.map((aspect) => new ReasonsField(aspect, this.edit));
    const together = weighed.flatMap((field) => [field, reasons.find(({ key }) => key === field.key)]);
    this.why = protocol.rationale === "off" ? null : new WhyField(protocol, this.edit);
    this.extras = [...new Set([...together, ...reasons])].filter(Boolean);
    places.extras.append(...this.extras.map((field) => field.element));
    const place = protocol.rationale_when === "before" ? places.before : places.extras;
    if (this.why) place.append(this.why.element);
    this.ratings = [];
  }

  // Ratings stand under the response that they are about.
  buildRatings(n) {
    this.ratings = Array.from({ length: n }, (_, place) =>
      this.protocol.ratings.map(
        (aspect) => new RatingField(aspect, place, this.protocol.rating_points, this.edit),
      ),
    ).flat();
    for (let place = 0; place < n; place += 1) {
      const own = this.ratings.filter((field) => field.place === place);
      this.places.paneFields(place).replaceChildren(...own.map((field) => field.element));
    }
  }

  get whyComesFirst() {
    return this.why !== null && this.protocol.rationale_when === "before";
  }

  // In the order in which J and K walk through them.
  get fields() {
    const why = this.why ? [this.why] : [];
    const rest = [...this.ratings, ...this.extras];
    return this.whyComesFirst ? [...why, ...rest] : [...rest, ...why];
  }

  // ---- what the person does ----

  // Choosing the chosen verdict again sends it, so that one key is always enough.
  choose(verdict, strength = 0) {
    if (this.isLocked()) return;
    const again = this.state.verdict === verdict && this.state.strength === strength;
    this.edit(() => ({ verdict, strength }));
    this.events.onChoose(again);
  }

  isLocked() {
    if (this.unseen) this.events.onLocked(SAY.seeBoth, null);
    else if (this.waitsForWhy()) this.events.onLocked(SAY.whyFirst, this.why.stop);
    return this.unseen || this.waitsForWhy();
  }

  waitsForWhy() {
    return this.whyComesFirst && this.why.missing(this.state) !== "";
  }

  press(digit) {
    const field = this.focused();
    if (!field) return this.pressVerdict(digit);
    const done = field.press(digit);
    if (done && !(field instanceof ReasonsField)) this.goOn(field);
    return done;
  }

  // The reasons for a strength come right after it; otherwise on to what is still missing.
  goOn(field) {
    const next = this.fields[this.fields.indexOf(field) + 1];
    const isItsReasons = field instanceof StrengthField && next instanceof ReasonsField && next.key === field.key;
    if (isItsReasons) this.focusField(next);
    else this.events.onChoose(false);
  }

  focused() {
    return this.fields.find((field) => field.element.contains(document.activeElement));
  }

  pressUndirected(verdict) {
    const button = this.buttons.get(`${verdict}:0`);
    button?.click();
    return Boolean(button);
  }

  bothBad() {
    return this.pressUndirected("both_bad");
  }

  cannotJudge() {
    return this.pressUndirected("cannot_judge");
  }

  move(step) {
    const { fields } = this;
    if (fields.length === 0) return false;
    const here = fields.indexOf(this.focused());
    const first = step > 0 ? 0 : fields.length - 1;
    const to = here < 0 ? first : Math.max(0, Math.min(fields.length - 1, here + step));
    this.focusField(fields[to]);
    return true;
  }

  focusField(field) {
    if (field.place !== undefined) this.events.onCurrent(field.place);
    field.stop.focus();
  }

  writeWhy() {
    this.why?.stop.focus();
    return this.why !== null;
  }

  // Keys of the kind's own; true when used.
  key() {
    return false;
  }

  edit(change) {
    this.state = { ...this.state, ...change(this.state) };
    this.paint();
    this.events.onEdit(this.state);
  }

  // ---- what the screen asks ----

  show(state, n) {
    if (n !== this.n) this.buildRatings(n);
    this.n = n;
    const { aspects, ratings, reasons, spans } = state;
    this.state = {
      ...NOTHING,
      ...state,
      aspects: { ...aspects },
      ratings: { ...ratings },
      reasons: { ...reasons },
      spans: [...(spans ?? [])],
    };
    this.showVerdict();
    this.paint();
  }

  // What should have the focus when the comparison appears; null: the verdict bar as a whole.
  get firstStop() {
    return this.waitsForWhy() ? this.why.stop : null;
  }

  // Whether there is a verdict, complete or not.
  get chosen() {
    return this.verdictComplaint() === null;
  }

  // Whether a verdict alone completes the label, so that it can be sent at once.
  get immediate() {
    return false;
  }

  isDirected(state = this.state) {
    return !(state.verdict in UNDIRECTED);
  }

  // The first thing that is missing: a sentence and where to put the focus; null when the label is complete.
  complaint() {
    if (this.waitsForWhy()) return { text: this.why.missing(this.state), focus: this.why.stop };
    const verdict = this.verdictComplaint();
    if (verdict) return verdict;
    const asked = this.isDirected() ? this.fields : [this.why].filter(Boolean);
    const open = asked.find((field) => field.missing(this.state));
    if (!open) return null;
    if (open.place !== undefined) this.events.onCurrent(open.place);
    return { text: open.missing(this.state), focus: open.stop };
  }

  answer() {
    return this.answerOf(this.state);
  }

  // In the protocol's own order, so that the same label always reads the same.
  answerOf(state) {
    const directed = this.isDirected(state);
    const { strengths, ratings, reasons } = this.protocol;
    const whole = ratings.filter(({ key }) => this.isRated(state, key));
    return {
      ...this.verdictOf(state),
      aspects: directed ? pick(state.aspects ?? {}, strengths) : {},
      ratings: Object.fromEntries(whole.map(({ key }) => [key, state.ratings[key]])),
      reasons: pickTicked(state.reasons ?? {}, reasons),
      spans: [...(state.spans ?? [])]
        .sort(inOrder)
        .map(({ response, start, end, category }) => ({ response, start, end, category })),
      rationale: (state.rationale ?? "").trim(),
    };
  }

  isRated(state, key) {
    const row = state.ratings?.[key] ?? [];
    return row.length === this.n && row.every((rating) => rating);
  }

  phrase() {
    const { verdict } = this.state;
    if (verdict in UNDIRECTED) return UNDIRECTED[verdict][this.n > 2 ? "many" : "few"];
    return this.verdictPhrase();
  }

  lock(unseen) {
    this.unseen = unseen;
    this.paintLock();
  }

  paintLock() {
    const locked = this.unseen || Boolean(this.state && this.waitsForWhy());
    for (const button of this.buttons.values()) button.setAttribute("aria-disabled", String(locked));
  }

  paint() {
    const { verdict, strength } = this.state;
    const chosen = `${verdict}:${verdict === "ranked" ? strength : 0}`;
    for (const [name, button] of this.buttons) button.setAttribute("aria-pressed", String(name === chosen));
    for (const field of this.fields) field.paint(this.state);
    this.paintLock();
    this.paintVerdict();
  }
}

function pick(values, asked) {
  return Object.fromEntries(asked.filter(({ key }) => key in values).map(({ key }) => [key, values[key]]));
}

function pickTicked(values, offered) {
  const ticked = offered.map(({ key, reasons }) => [
    key,
    reasons.filter((one) => values[key]?.includes(one)),
  ]);
  return Object.fromEntries(ticked.filter(([, reasons]) => reasons.length > 0));
}
