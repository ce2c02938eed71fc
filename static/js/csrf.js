// The token that Django put into the page; every unsafe request carries it as X-CSRFToken.
export function csrfToken() {
  return document.querySelector('meta[name="csrf-token"]')?.content ?? "";
}
