// A classic script in the head: it runs before the first paint, so that a chosen theme never flashes.
(() => {
  const root = document.documentElement;
  const order = ["auto", "light", "dark"];
  const names = { auto: "Auto", light: "Light", dark: "Dark" };

  function stored() {
    try {
      return order.includes(localStorage.getItem("tandem.theme"))
        ? localStorage.getItem("tandem.theme")
        : "auto";
    } catch {
      return "auto"; // storage can be blocked by the browser; the system's theme still works
    }
  }

  function remember(theme) {
    try {
      localStorage.setItem("tandem.theme", theme);
    } catch {
      // nothing to do: the choice lasts for this page
    }
  }

  function apply(theme) {
    if (theme === "auto") delete root.dataset.theme;
    else root.dataset.theme = theme;
    for (const button of document.querySelectorAll("[data-theme-toggle]")) {
      button.textContent = names[theme];
      button.title = `Colours: ${theme}`;
      button.setAttribute("aria-label", button.title);
      button.hidden = false;
    }
    document.dispatchEvent(new CustomEvent("tandem:theme", { detail: theme }));
  }

  let theme = stored();
  apply(theme);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => apply(theme));
  document.addEventListener("DOMContentLoaded", () => {
    apply(theme);
    for (const button of document.querySelectorAll("[data-theme-toggle]")) {
      button.addEventListener("click", () => {
        theme = order[(order.indexOf(theme) + 1) % order.length];
        remember(theme);
        apply(theme);
      });
    }
  });
})();
