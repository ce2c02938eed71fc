// The one status line of a page. level: "" | "ok" | "warn" | "danger".
export function say(text, level = "") {
  const line = document.getElementById("status");
  if (!line) return;
  line.dataset.level = level;
  line.title = text;
  if (line.textContent !== text) line.textContent = text;
}
