// Every sentence the labelling screen says, in one place.

const DEGREES = {
  1: ["better"],
  2: ["slightly", "much"],
  3: ["slightly", "clearly", "much"],
  4: ["barely", "slightly", "clearly", "much"],
};

// Short name of a point on the scale, for a button: "A much", "Tie", "B slightly".
export function pointName(strength, half) {
  if (strength === 0) return "Tie";
  return `${strength < 0 ? "A" : "B"} ${DEGREES[half][Math.abs(strength) - 1]}`;
}

// The same point as a phrase, for the status line and for screen readers.
export function pointPhrase(strength, half) {
  if (strength === 0) return "tie";
  const degree = DEGREES[half][Math.abs(strength) - 1];
  const side = strength < 0 ? "A" : "B";
  return degree === "better" ? `${side} is better` : `${side} is ${degree} better`;
}

export const UNDIRECTED = {
  both_bad: { few: "both are bad", many: "all are bad" },
  cannot_judge: { few: "cannot judge", many: "cannot judge" },
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

export const MENU = { skip: "Skip, because …", flag: "Flag as …" };

export const SAY = {
  verdictOn: (n) => `Your verdict on comparison ${n}`,
  stored: (verdict) => `Kept: ${verdict}.${hint("U undoes it.")}`,
  revised: (verdict) => `Revised: ${verdict}.${hint("U opens the one before.")}`,
  skipped: (reason) => `Skipped: ${reason}.`,
  offline: (n) =>
    n === 0 ? "No connection to the server." : `No connection: ${labels(n)} kept here, will be sent.`,
  sent: "Everything is sent.",
  loggedOut: (n) =>
    n === 0
      ? "You are logged out. Reload this page to log in."
      : `You are logged out. ${labels(n)} kept here; log in again and ${n === 1 ? "it" : "they"} will be sent.`,
  nothingToUndo: "Nothing to undo on this screen; older labels are in your history.",
  reopened: (verdict) =>
    `Open again: ${verdict}. Choose anew, or ${KEYBOARD ? "press Enter" : "send"} to keep it.`,
  kept: "Left as it was.",
  enterSends: (verdict) => `Chosen: ${verdict}.${hint("Enter sends it.")}`,
  whyRequired: "Why? (needed)",
  whyOptional: "Why? (optional)",
  chooseFirst: "Choose a verdict first.",
  rationaleMissing: (min) =>
    min > 1
      ? `Say why in at least ${min} characters.${hint("Enter sends.")}`
      : `Say why.${hint("Enter sends.")}`,
  aspectMissing: (name) => `${name}: choose a point.`,
  because: (name) => `${name}, because`,
  rateEach: (points) => `Rate every response: ${points} is best.`,
  placeAll: (names) => `Give ${names} a rank.`,
  noTies: "No ties here: give each response a rank of its own.",
  placed: (name, rank, of, tied) =>
    `${name}: rank ${rank} of ${of}${tied.length > 0 ? `, tied with ${tied.join(" and ")}` : ""}.`,
  takenOut: (name) => `${name}: not placed.`,
  current: (name, where) => `${name}, ${where}`,
  notPlaced: "not placed",
  rankOf: (rank) => `rank ${rank}`,
  ratingOf: (response, name, rating, points) => `${response}, ${name}: ${rating} of ${points}`,
  ratingMissing: (name, response) => `${response}: rate “${name}”.`,
  nothingBefore: "There is nothing before it to tie with.",
  whyFirst: "First write why, then choose.",
  highlightOn: "Plain texts: select a passage, then press a digit or a category. Esc leaves.",
  highlightOff: "Formatted texts.",
  highlighted: (category, words) => `${category}: “${words}”.`,
  highlightRemoved: (words) => `Highlight removed: “${words}”.`,
  selectFirst: "Select a passage of a response first.",
  noHighlightHere: "No highlight at the caret.",
  flagged: (reason) => `Flagged: ${reason}. You can still give a verdict.`,
  pressLetter: "Press a letter …",
  keySaved: "Your keys are saved.",
  seeBoth: "Open every response before you decide.",
  tooLongToDiff: "These responses are too long to compare word by word.",
  diffOn: "Words found in one response only are marked.",
  diffOff: "Word marks are off.",
  syncOn: "The responses scroll together.",
  syncOff: "Each response scrolls by itself.",
  notKept: "This browser could not keep the label (is its storage full?). Nothing was sent; try again.",
  noSkip: "A label that was given can be revised, not skipped.",
  noStorage: "This browser keeps no data here: a label is lost if the tab is closed before it is sent.",
  noConnection: "No connection",
  retrying: "The next comparison comes as soon as the server answers. Your labels are kept here until then.",
  nothingLeft: "Nothing to label now",
  refused: "The server refused this",
  refusedLabel: (why) => `Not stored: ${why}`,
};

function labels(n) {
  return n === 1 ? "1 label" : `${n} labels`;
}
