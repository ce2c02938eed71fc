import { isTextField } from "./dom.js";

// The digit or letter meant, also on layouts where digits need Shift or letters are not Latin.
function keyOf(event) {
  const { key, code } = event;
  if (/^[0-9?=]$/.test(key)) return key;
  if (/^(Digit|Numpad)[0-9]$/.test(code) && !event.shiftKey) return code.at(-1);
  if (/^[a-z]$/i.test(key)) return key.toLowerCase();
  return /^Key[A-Z]$/.test(code) && key.length === 1 ? code.at(-1).toLowerCase() : key;
}

// What the focused element needs for itself.
function ownsTheKey(target, key) {
  if (!(target instanceof Element)) return false;
  if (["Enter", " "].includes(key)) {
    // A chip is chosen as soon as it has the focus, so Enter on it sends.
    const isButton = target.matches("button, a[href], summary");
    const isBox = key === " " && target.matches("input[type='checkbox'], input[type='radio']");
    return (isButton && !(key === "Enter" && target.matches(".chip"))) || isBox;
  }
  return target.matches('input[type="radio"]') && key.startsWith("Arrow");
}

// actions: {usual key: handler}; handlers for digits get the digit. Text fields keep every key but Escape and Enter.
export function listen({ actions, usualFor, onDigit, inField }) {
  document.addEventListener("keydown", (event) => {
    if (event.isComposing || document.querySelector("dialog[open]")) return;
    if (isTextField(event.target)) {
      inField(event);
      return;
    }
    const pressed = keyOf(event);
    const undo = (event.ctrlKey || event.metaKey) && pressed === "z" && !event.shiftKey;
    const modified = event.ctrlKey || event.metaKey || event.altKey;
    const key = undo ? "u" : usualFor(pressed);
    if ((modified && !undo) || key === null || ownsTheKey(event.target, key)) return;
    const scrolls = key.startsWith("Arrow") || key.startsWith("Page") || key === " ";
    if (event.repeat && !scrolls) return;
    const handled = /^[0-9]$/.test(key) ? onDigit(Number(key)) : actions[key]?.(event);
    if (handled) event.preventDefault();
  });
}
