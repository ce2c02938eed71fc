// The ranking task: responses are put into numbered ranks, several in one rank are tied. The texts stay where they are.
import { dragInto } from "./drag.js";
import { element } from "./dom.js";
import { Task } from "./task.js";
import { NAME, SAY, letter, orderName } from "./words.js";

export class RankingTask extends Task {
  buildVerdict() {
    this.places.points.className = "points points--ranks";
    this.ranks = element("div", { class: "ranks" });
    this.moves = element("div", { class: "moves", role: "group", "aria-label": NAME.move });
    this.places.points.append(this.ranks, this.moves);
    this.buildMoves();
    this.buildUndirected({ key: "b", name: NAME.allBad });
    this.current = 0;
  }

  buildMoves() {
    const button = (name, words, act) =>
      element(
        "button",
        { type: "button", class: "btn btn--small", title: words, "aria-label": words, onclick: act },
        name,
      );
    this.moves.append(
      button("↑", NAME.better, () => this.shift(-1)),
      button("↓", NAME.worse, () => this.shift(1)),
      button("=", NAME.tie, () => this.tie()),
      button("×", NAME.takeOut, () => this.place(this.current, null)),
    );
  }

  // One box per rank, and one for what has no rank yet.
  buildRanks() {
    const box = (rank) => {
      const name = rank === null ? "–" : String(rank + 1);
      const words = rank === null ? SAY.notPlaced : SAY.rankOf(rank + 1);
      const head = element(
        "button",
        {
          type: "button",
          class: "rank-name",
          "aria-label": SAY.putInto(words),
          onclick: () => this.place(this.current, rank),
        },
        name,
      );
      return element(
        "div",
        { class: "rank", role: "group", "aria-label": words, "data-rank": rank ?? "" },
        head,
      );
    };
    this.boxes = [null, ...Array.from({ length: this.n }, (_, rank) => rank)].map(box);
    this.chips = Array.from({ length: this.n }, (_, place) => this.chip(place));
    this.ranks.replaceChildren(...this.boxes);
  }

  chip(place) {
    const chip = element(
      "button",
      { type: "button", class: "chip", "data-place": place, onclick: () => this.choosePlace(place) },
      letter(place),
    );
    dragInto(chip, ".rank", {
      onStart: () => this.choosePlace(place),
      onDrop: (box) => this.place(place, box.dataset.rank === "" ? null : Number(box.dataset.rank)),
    });
    return chip;
  }

  // ---- what the person does ----

  choosePlace(place, focus = true) {
    this.current = place;
    this.paint();
    this.events.onCurrent(place);
    if (focus) this.chips[place].focus({ preventScroll: true });
  }

  // Digits rank the current response and go on to the next that has no rank; 0 is the tenth.
  pressVerdict(digit) {
    const rank = digit === 0 ? 9 : digit - 1;
    if (rank >= this.n) return false;
    this.place(this.current, rank);
    const open = this.state.ranking.indexOf(null);
    if (open >= 0) this.choosePlace(open);
    else if (!this.isLocked()) this.events.onChoose(false);
    return true;
  }

  place(place, rank) {
    if (this.isLocked()) return;
    this.edit(({ ranking }) => ({
      verdict: "",
      ranking: ranking.map((old, index) => (index === place ? rank : old)),
    }));
    this.events.onSay(this.announcement(place));
    this.chips[place].focus({ preventScroll: true });
  }

  announcement(place) {
    const { ranking } = this.state;
    if (ranking[place] === null) return SAY.takenOut(letter(place));
    const tied = ranking
      .map((rank, other) => (other !== place && rank === ranking[place] ? letter(other) : null))
      .filter(Boolean);
    return SAY.placed(letter(place), ranking[place] + 1, this.n, tied);
  }

  shift(step) {
    const rank = this.state.ranking[this.current];
    const from = rank ?? (step > 0 ? -1 : this.n);
    this.place(this.current, Math.max(0, Math.min(this.n - 1, from + step)));
  }

  // The one before: in the ranking, or, for a response without a rank, the last that has one.
  tie() {
    const { ranking } = this.state;
    const own = ranking[this.current] ?? this.n;
    const before = ranking.filter((rank, place) => place !== this.current && rank !== null && rank < own);
    if (before.length === 0) this.events.onSay(SAY.nothingBefore);
    else this.place(this.current, Math.max(...before));
  }

  key(key) {
    if (this.focused()) return false;
    const onChip = this.ranks.contains(document.activeElement);
    if (key === "=") this.tie();
    else if (onChip && key === "ArrowUp") this.shift(-1);
    else if (onChip && key === "ArrowDown") this.shift(1);
    else if (key === "ArrowLeft") this.choosePlace(Math.max(0, this.current - 1));
    else if (key === "ArrowRight") this.choosePlace(Math.min(this.n - 1, this.current + 1));
    else return false;
    return true;
  }

  // ---- what the screen asks ----

  showVerdict() {
    const ranking = this.state.ranking ?? [];
    this.state.ranking = Array.from({ length: this.n }, (_, place) => ranking[place] ?? null);
    this.current = 0;
    this.buildRanks();
  }

  get firstStop() {
    return super.firstStop ?? this.chips[this.current];
  }

  verdictComplaint() {
    if (!this.isDirected()) return null;
    const { ranking } = this.state;
    const open = ranking.map((rank, place) => (rank === null ? place : -1)).filter((place) => place >= 0);
    if (open.length > 0)
      return { text: SAY.placeAll(open.map(letter).join(", ")), focus: this.chips[open[0]] };
    const isTied = new Set(ranking).size < this.n;
    return isTied && !this.protocol.allow_tie
      ? { text: SAY.noTies, focus: this.chips[this.current] }
      : null;
  }

  // Ranks without gaps: leaving rank 2 empty says nothing.
  verdictOf(state) {
    if (!this.isDirected(state)) return { verdict: state.verdict };
    const levels = [...new Set(state.ranking)].sort((a, b) => a - b);
    const ranking = (state.ranking ?? []).map((rank) => levels.indexOf(rank));
    return { verdict: levels.length === 1 ? "tie" : "ranked", ranking };
  }

  verdictPhrase() {
    return orderName(this.state.ranking.map((rank) => rank ?? this.n));
  }

  paintVerdict() {
    const focused = this.chips.find((chip) => chip === document.activeElement);
    this.state.ranking.forEach((rank, place) => {
      const chip = this.chips[place];
      const box = this.boxes[rank === null ? 0 : rank + 1];
      if (chip.parentElement !== box) box.append(chip);
      const where = rank === null ? SAY.notPlaced : SAY.rankOf(rank + 1);
      chip.setAttribute("aria-label", SAY.current(letter(place), where));
      chip.setAttribute("aria-pressed", String(place === this.current));
      chip.tabIndex = place === this.current ? 0 : -1;
    });
    focused?.focus({ preventScroll: true }); // moving a node drops its focus
  }
}
