// The rating task: each response is rated by itself; the overall ratings give the ranking.
import { element } from "./dom.js";
import { Task } from "./task.js";
import { NAME, SAY, orderName } from "./words.js";

const OVERALL = "overall";

export class RatingTask extends Task {
  buildVerdict() {
    this.order = element("p", { class: "order", "data-label": "order" });
    this.places.points.className = "points points--order";
    this.places.points.append(this.order);
    this.buildUndirected({ key: "b", name: NAME.allBad });
  }

  // Without a field in focus, a digit goes to the first rating that is still open.
  pressVerdict(digit) {
    const open = this.ratings.find((field) => field.missing(this.state)) ?? this.ratings[0];
    this.focusField(open);
    const done = open.press(digit);
    if (done) this.events.onChoose(false);
    return done;
  }

  get firstStop() {
    return super.firstStop ?? this.ratings[0]?.stop ?? null;
  }

  verdictComplaint() {
    return null; // an open rating is a field's own complaint
  }

  ranksOf(state) {
    const overall = state.ratings?.[OVERALL] ?? [];
    if (!this.isRated(state, OVERALL)) return null;
    const levels = [...new Set(overall)].sort((a, b) => b - a);
    return overall.map((rating) => levels.indexOf(rating));
  }

  verdictOf(state) {
    if (!this.isDirected(state)) return { verdict: state.verdict };
    const ranks = this.ranksOf(state);
    return { verdict: ranks && new Set(ranks).size === 1 ? "tie" : "ranked" };
  }

  verdictPhrase() {
    return orderName(this.ranksOf(this.state) ?? []);
  }

  showVerdict() {}

  // A rating after "all bad" takes the latter back.
  edit(change) {
    super.edit((state) => {
      const changed = change(state);
      return "ratings" in changed ? { ...changed, verdict: "" } : changed;
    });
  }

  paintVerdict() {
    const ranks = this.ranksOf(this.state);
    this.order.textContent = ranks ? orderName(ranks) : SAY.rateEach(this.protocol.rating_points);
  }
}
