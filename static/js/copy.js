import { say } from "./status.js";

// <button data-copy="#id"> copies the text of that element and says so in the status line.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  const source = button && document.querySelector(button.dataset.copy);
  if (!source) return;
  try {
    await navigator.clipboard.writeText((source.value ?? source.textContent).trim());
    say("Copied.", "ok");
  } catch {
    getSelection().selectAllChildren(source);
    say("The browser did not allow copying; the text is selected, press Ctrl+C.", "warn");
  }
});
