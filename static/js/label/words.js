// Every sentence the labelling screen says, in one place.
import { gettext, ngettext, number } from "../translate.js";

// Points of half a scale, from the least to the most; the full names stand together so that languages can order them.
const NAMES = {
  A: {
    better: gettext("A better"),
    barely: gettext("A barely"),
    slightly: gettext("A slightly"),
    clearly: gettext("A clearly"),
    much: gettext("A much"),
  },
  B: {
    better: gettext("B better"),
    barely: gettext("B barely"),
    slightly: gettext("B slightly"),
    clearly: gettext("B clearly"),
    much: gettext("B much"),
  },
};
const PHRASES = {
  A: {
    better: gettext("A is better"),
    barely: gettext("A is barely better"),
    slightly: gettext("A is slightly better"),
    clearly: gettext("A is clearly better"),
    much: gettext("A is much better"),
  },
  B: {
    better: gettext("B is better"),
    barely: gettext("B is barely better"),
    slightly: gettext("B is slightly better"),
    clearly: gettext("B is clearly better"),
    much: gettext("B is much better"),
  },
};
const DEGREES = {
  1: ["better"],
  2: ["slightly", "much"],
  3: ["slightly", "clearly", "much"],
  4: ["barely", "slightly", "clearly", "much"],
};

function onScale(names, strength, half) {
  return names[strength < 0 ? "A" : "B"][DEGREES[half][Math.abs(strength) - 1]];
}

// Short name of a point on the scale, for a button: "A much", "Tie", "B slightly".
export function pointName(strength, half) {
  return strength === 0 ? gettext("Tie") : onScale(NAMES, strength, half);
}

// The same point as a phrase, for the status line and for screen readers.
export function pointPhrase(strength, half) {
  return strength === 0 ? gettext("tie") : onScale(PHRASES, strength, half);
}

export const NAME = {
  bothBad: gettext("Both bad"),
  highlight: gettext("Highlight"),
  allBad: gettext("All bad"),
  cannotJudge: gettext("Cannot judge"),
  why: gettext("Why?"),
  fold: gettext("Fold"),
  unfold: gettext("Show all"),
  empty: gettext("(empty response)"),
  move: gettext("Move the chosen response"),
  better: gettext("Better by one rank"),
  worse: gettext("Worse by one rank"),
  tie: gettext("Tie with the one before"),
  takeOut: gettext("Take out of the ranking"),
};

export const ROLES = {
  user: gettext("User"),
  assistant: gettext("Assistant"),
  system: gettext("System"),
};

export const UNDIRECTED = {
  both_bad: { few: gettext("both are bad"), many: gettext("all are bad") },
  cannot_judge: { few: gettext("cannot judge"), many: gettext("cannot judge") },
};

// Neutral names of the responses, left to right.
export function letter(place) {
  return String.fromCharCode(65 + place);
}

// Ranks per response as "B > A = C"; the same for the eye and, with words, for the ear.
export function orderName(ranks, better = " > ", same = " = ") {
  const levels = [...new Set(ranks)].sort((a, b) => a - b);
  return levels
    .map((level) =>
      ranks
        .map((rank, place) => (rank === level ? letter(place) : null))
        .filter(Boolean)
        .join(same),
    )
    .join(better);
}

// A hint at a key is noise where there is no keyboard.
const KEYBOARD = matchMedia("(pointer: fine)").matches;
const hint = (text) => (KEYBOARD ? ` ${text}` : "");

export const MENU = { skip: gettext("Skip, because …"), flag: gettext("Flag as …") };

export const SAY = {
  verdictOn: (n) => gettext("Your verdict on comparison %(n)s", { n }),
  stored: (verdict) => gettext("Kept: %(verdict)s.", { verdict }) + hint(gettext("U undoes it.")),
  revised: (verdict) =>
    gettext("Revised: %(verdict)s.", { verdict }) + hint(gettext("U opens the one before.")),
  skipped: (reason) => gettext("Skipped: %(reason)s.", { reason }),
  offline: (n) =>
    n === 0
      ? gettext("No connection to the server.")
      : ngettext(
          "No connection: %(count)s label kept here, will be sent.",
          "No connection: %(count)s labels kept here, will be sent.",
          n,
        ),
  sent: gettext("Everything is sent."),
  loggedOut: (n) =>
    n === 0
      ? gettext("You are logged out. Reload this page to log in.")
      : ngettext(
          "You are logged out. %(count)s label kept here; log in again and it will be sent.",
          "You are logged out. %(count)s labels kept here; log in again and they will be sent.",
          n,
        ),
  nothingToUndo: gettext("Nothing to undo on this screen; older labels are in your history."),
  reopened: (verdict) =>
    KEYBOARD
      ? gettext("Open again: %(verdict)s. Choose anew, or press Enter to keep it.", { verdict })
      : gettext("Open again: %(verdict)s. Choose anew, or send to keep it.", { verdict }),
  kept: gettext("Left as it was."),
  enterSends: (verdict) => gettext("Chosen: %(verdict)s.", { verdict }) + hint(gettext("Enter sends it.")),
  whyRequired: gettext("Why? (needed)"),
  whyOptional: gettext("Why? (optional)"),
  chooseFirst: gettext("Choose a verdict first."),
  rationaleMissing: (min) =>
    (min > 1
      ? gettext("Say why in at least %(min)s characters.", { min })
      : gettext("Say why.")) + hint(gettext("Enter sends.")),
  aspectMissing: (name) => gettext("%(name)s: choose a point.", { name }),
  because: (name) => gettext("%(name)s, because", { name }),
  rateEach: (points) => gettext("Rate every response: %(points)s is best.", { points }),
  placeAll: (names) => gettext("Give %(names)s a rank.", { names }),
  noTies: gettext("No ties here: give each response a rank of its own."),
  placed: (name, rank, of, tied) =>
    tied.length > 0
      ? gettext("%(name)s: rank %(rank)s of %(of)s, tied with %(tied)s.", {
          name,
          rank,
          of,
          tied: tied.join(gettext(" and ")),
        })
      : gettext("%(name)s: rank %(rank)s of %(of)s.", { name, rank, of }),
  takenOut: (name) => gettext("%(name)s: not placed.", { name }),
  current: (name, where) => `${name}, ${where}`,
  notPlaced: gettext("not placed"),
  rankOf: (rank) => gettext("rank %(rank)s", { rank }),
  putInto: (where) => gettext("Put the chosen response: %(where)s", { where }),
  ratingOf: (response, name, rating, points) =>
    gettext("%(response)s, %(name)s: %(rating)s of %(points)s", { response, name, rating, points }),
  ratingMissing: (name, response) => gettext("%(response)s: rate “%(name)s”.", { response, name }),
  nothingBefore: gettext("There is nothing before it to tie with."),
  whyFirst: gettext("First write why, then choose."),
  plainText: (name) => gettext("Plain text of %(name)s", { name }),
  highlightOn: gettext("Plain texts: select a passage, then press a digit or a category. Esc leaves."),
  highlightOff: gettext("Formatted texts."),
  highlighted: (category, words) => gettext("%(category)s: “%(words)s”.", { category, words }),
  highlightRemoved: (words) => gettext("Highlight removed: “%(words)s”.", { words }),
  removeHighlight: (words) => gettext("Remove highlight %(words)s", { words }),
  selectFirst: gettext("Select a passage of a response first."),
  noHighlightHere: gettext("No highlight at the caret."),
  flagged: (reason) => gettext("Flagged: %(reason)s. You can still give a verdict.", { reason }),
  pressLetter: gettext("Press a letter …"),
  keySaved: gettext("Your keys are saved."),
  changeKey: (words, key) => gettext("%(words)s: %(key)s. Change", { words, key }),
  seeBoth: gettext("Open every response before you decide."),
  tooLongToDiff: gettext("These responses are too long to compare word by word."),
  diffOn: gettext("Words found in one response only are marked."),
  diffOff: gettext("Word marks are off."),
  syncOn: gettext("The responses scroll together."),
  syncOff: gettext("Each response scrolls by itself."),
  notKept: gettext(
    "This browser could not keep the label (is its storage full?). Nothing was sent; try again.",
  ),
  noSkip: gettext("A label that was given can be revised, not skipped."),
  noStorage: gettext(
    "This browser keeps no data here: a label is lost if the tab is closed before it is sent.",
  ),
  noConnection: gettext("No connection"),
  retrying: gettext(
    "The next comparison comes as soon as the server answers. Your labels are kept here until then.",
  ),
  nothingLeft: gettext("Nothing to label now"),
  refused: gettext("The server refused this"),
  refusedLabel: (why) => gettext("Not stored: %(why)s", { why }),
  answered: (status) => gettext("The server answered %(status)s.", { status }),
  progress: (done, all, more) =>
    gettext("%(done)s of %(all)s", { done: number(done), all: number(all) + more }),
  pace: (seconds) =>
    gettext(" · %(seconds)s s median", { seconds: number(seconds, seconds < 9.95 ? 1 : 0) }),
};
