// A classic script in the head: it runs before the first paint, so that a chosen theme never flashes.
(() => {
  const root = document.documentElement;
  const order = ["auto", "light", "dark"];
  // The catalogue comes later, yet before the page is shown whole: apply is called again then.
  const gettext = (text) => globalThis.django?.gettext?.(text) ?? text;
  const words = {
    auto: () => [gettext("Auto"), gettext("Colours: auto")],
    light: () => [gettext("Light"), gettext("Colours: light")],
    dark: () => [gettext("Dark"), gettext("Colours: dark")],
  };

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
      [button.textContent, button.title] = words[theme]();
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
