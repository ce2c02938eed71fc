// element("button", {class: "btn", "data-x": 1, onclick: f}, "text", child): the few lines a framework would be for.
export function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export function isTextField(node) {
  if (!(node instanceof HTMLElement)) return false;
  if (node.isContentEditable || node.matches("textarea, select")) return true;
  return node.matches('input:not([type="radio"], [type="checkbox"], [type="button"], [type="range"])');
}

// A choice that this browser remembers for next time.
export function remembered(name, fallback) {
  try {
    return JSON.parse(localStorage.getItem(`tandem.${name}`)) ?? fallback;
  } catch {
    return fallback; // storage blocked or an old format: the default is right
  }
}

export function remember(name, value) {
  try {
    localStorage.setItem(`tandem.${name}`, JSON.stringify(value));
  } catch {
    // storage blocked: the choice lasts for this page
  }
}
