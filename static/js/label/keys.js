import { isTextField } from "./dom.js";

// The digit or letter meant, also on layouts where digits need Shift or letters are not Latin.
function keyOf(event) {
  const { key, code } = event;
  if (/^[0-9?]$/.test(key)) return key;
  if (/^(Digit|Numpad)[0-9]$/.test(code) && !event.shiftKey) return code.at(-1);
  if (/^[a-z]$/i.test(key)) return key.toLowerCase();
  return /^Key[A-Z]$/.test(code) && key.length === 1 ? code.at(-1).toLowerCase() : key;
}

function ownsTheKey(target, key) {
  if (!(target instanceof Element)) return false;
  if (["Enter", " "].includes(key)) return target.matches("button, a[href], summary");
  return target.matches('input[type="radio"]') && key.startsWith("Arrow");
}

// actions: {key: handler}; handlers for digits get the digit. Text fields keep every key but Escape and Enter.
export function listen({ actions, onDigit, inField }) {
  document.addEventListener("keydown", (event) => {
    if (event.isComposing || document.querySelector("dialog[open]")) return;
    if (isTextField(event.target)) {
      inField(event);
      return;
    }
    const key = keyOf(event);
    const command = (event.ctrlKey || event.metaKey) && key === "z" && !event.shiftKey ? "u" : key;
    const modified = event.ctrlKey || event.metaKey || event.altKey;
    if ((modified && command === key) || ownsTheKey(event.target, key)) return;
    const scrolls = key.startsWith("Arrow") || key.startsWith("Page") || key === " ";
    if (event.repeat && !scrolls) return;
    const handled = /^[0-9]$/.test(command) ? onDigit(Number(command)) : actions[command]?.(event);
    if (handled) event.preventDefault();
  });
}
