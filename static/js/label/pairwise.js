// The pairwise task: one scale from A on the left to B on the right.
import { Task } from "./task.js";
import { NAME, SAY, pointName, pointPhrase } from "./words.js";

export class PairwiseTask extends Task {
  buildVerdict() {
    const { points } = this.places;
    points.className = "points";
    points.dataset.many = String(this.strengths.length > 5);
    this.strengths.forEach((strength, index) => {
      const verdict = strength === 0 ? "tie" : "ranked";
      points.append(
        this.verdictButton(String(index + 1), pointName(strength, this.half), verdict, strength),
      );
    });
    this.buildUndirected({ key: "0", name: NAME.bothBad });
  }

  get immediate() {
    const { strengths, ratings, reasons, span_categories: spans, rationale } = this.protocol;
    const more = [strengths, ratings, reasons, spans].some((asked) => asked.length > 0);
    return !more && (rationale !== "required" || this.protocol.rationale_when === "before");
  }

  pressVerdict(digit) {
    if (digit === 0) return this.bothBad();
    const strength = this.strengths[digit - 1];
    const button = this.buttons.get(`${strength === 0 ? "tie" : "ranked"}:${strength}`);
    button?.click();
    return Boolean(button);
  }

  verdictComplaint() {
    return this.state.verdict ? null : { text: SAY.chooseFirst, focus: null };
  }

  verdictOf({ verdict, strength }) {
    return { verdict, strength: verdict === "ranked" ? strength : 0 };
  }

  verdictPhrase() {
    return pointPhrase(this.state.strength, this.half);
  }

  showVerdict() {}

  paintVerdict() {}
}
