// Marks the words that stand in only one of two rendered responses, inside their text nodes: formatting stays.

const MOST_CELLS = 25_000_000; // table size above which the browser would stall
const WORD = /[\p{L}\p{N}\p{M}_]+|[^\s\p{L}\p{N}\p{M}_]/gu;

// One entry per word of the element: its text node, its place in it, and the word itself.
function wordsOf(element) {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  const words = [];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    for (const match of node.data.matchAll(WORD)) words.push({ node, start: match.index, word: match[0] });
  }
  return words;
}

function sharedEdges(left, right) {
  const most = Math.min(left.length, right.length);
  let head = 0;
  while (head < most && left[head] === right[head]) head += 1;
  let tail = 0;
  while (tail < most - head && left.at(-1 - tail) === right.at(-1 - tail)) tail += 1;
  return { head, tail };
}

// Longest common subsequence by the classic table; lengths[i][j] is that of left[i..] and right[j..].
function table(left, right) {
  const width = right.length + 1;
  const lengths = new Uint16Array((left.length + 1) * width);
  for (let i = left.length - 1; i >= 0; i -= 1) {
    for (let j = right.length - 1; j >= 0; j -= 1) {
      const here = i * width + j;
      lengths[here] =
        left[i] === right[j]
          ? lengths[here + width + 1] + 1
          : Math.max(lengths[here + width], lengths[here + 1]);
    }
  }
  return { lengths, width };
}

// Indices of the words of each side that are not in the common subsequence; null when too long.
export function onlyIn(left, right) {
  const { head, tail } = sharedEdges(left, right);
  const a = left.slice(head, left.length - tail);
  const b = right.slice(head, right.length - tail);
  if ((a.length + 1) * (b.length + 1) > MOST_CELLS) return null;
  const { lengths, width } = table(a, b);
  const only = { left: [], right: [] };
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    const leftFirst =
      j >= b.length || (i < a.length && lengths[(i + 1) * width + j] >= lengths[i * width + j + 1]);
    if (i < a.length && j < b.length && a[i] === b[j]) [i, j] = [i + 1, j + 1];
    else if (leftFirst) only.left.push(head + i++);
    else only.right.push(head + j++);
  }
  return only;
}

// Neighbouring words of one text node become one run, so that a changed phrase reads as a phrase.
function runs(words, indices) {
  const found = [];
  indices.forEach((index, nth) => {
    const { node, start, word } = words[index];
    const last = found.at(-1);
    const adjacent = last && indices[nth - 1] === index - 1 && last.node === node;
    if (adjacent) last.end = start + word.length;
    else found.push({ node, start, end: start + word.length });
  });
  return found;
}

// From the last run to the first, so that splitting a node never moves a place still to be visited.
function mark(words, indices) {
  for (const { node, start, end } of runs(words, indices).reverse()) {
    const range = document.createRange();
    range.setStart(node, start);
    range.setEnd(node, end);
    const marked = document.createElement("mark");
    marked.className = "only";
    range.surroundContents(marked);
  }
}

// False when the two are too long to compare.
export function markDifferences(left, right) {
  const [a, b] = [wordsOf(left), wordsOf(right)];
  const only = onlyIn(
    a.map(({ word }) => word),
    b.map(({ word }) => word),
  );
  if (!only) return false;
  mark(a, only.left);
  mark(b, only.right);
  return true;
}

export function unmark(element) {
  for (const marked of element.querySelectorAll("mark.only")) marked.replaceWith(...marked.childNodes);
  element.normalize();
}
