// Light, dark, or as the system has it.

const KEY = "trainmaster.theme";
const NEXT = { system: "light", light: "dark", dark: "system" };

function chosen() {
  return document.documentElement.dataset.theme ?? "system";
}

function choose(theme) {
  if (theme === "system") {
    delete document.documentElement.dataset.theme;
    localStorage.removeItem(KEY);
  } else {
    document.documentElement.dataset.theme = theme;
    localStorage.setItem(KEY, theme);
  }
  // Canvases cannot follow custom properties by themselves.
  document.dispatchEvent(new CustomEvent("theme"));
}

export function installTheme(button) {
  const label = () => {
    button.title = `Theme: ${chosen()} (switch to ${NEXT[chosen()]})`;
    button.setAttribute("aria-label", button.title);
  };
  button.addEventListener("click", () => {
    choose(NEXT[chosen()]);
    label();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    document.dispatchEvent(new CustomEvent("theme"));
  });
  label();
}

export function cssColour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
