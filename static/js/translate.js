// Sentences in the language of the page. The catalogue is a script of the page in that language; without it, as in
// English, the sentence stands as it is written. Placeholders are named, because other languages order words otherwise.

export function gettext(text, values = {}) {
  return fill(globalThis.django?.gettext?.(text) ?? text, values);
}

// Both forms of a sentence that counts; languages differ in how many they have.
export function ngettext(one, many, count, values = {}) {
  const form = globalThis.django?.ngettext?.(one, many, count) ?? (count === 1 ? one : many);
  return fill(form, { count: number(count), ...values });
}

// Digits in groups and a decimal mark as the page's language writes them.
export function number(value, digits = 0) {
  const { lang } = document.documentElement;
  const marks = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return value.toLocaleString(lang === "en" ? undefined : lang, marks);
}

function fill(text, values) {
  return text.replace(/%\((\w+)\)s/g, (whole, name) => (name in values ? String(values[name]) : whole));
}
