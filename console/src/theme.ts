import { byId } from "./dom.js";

const KEY = "chaincast.theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

/** Use the system's theme, or the one that the user chose on this page. `onChange` is called at once and after changes. */
export function initTheme(onChange: () => void): void {
  const button = byId<HTMLButtonElement>("theme");
  const show = (): void => {
    const chosen = localStorage.getItem(KEY);
    if (chosen) document.documentElement.dataset.theme = chosen;
    button.setAttribute("aria-label", isDark() ? "Light theme" : "Dark theme");
    onChange();
  };
  button.addEventListener("click", () => {
    localStorage.setItem(KEY, isDark() ? "light" : "dark");
    show();
  });
  dark.addEventListener("change", show);
  show();
}

function isDark(): boolean {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : dark.matches;
}

/** Return the theme's colours for the canvas of the chart, which cannot use the style sheet. */
export function colours(): { text: string; line: string; grid: string } {
  const [text, line, grid] = ["muted", "accent", "line"].map((name) => {
    const probe = byId(`colour-${name}`);
    const [, red, green, blue] = /(\d+), (\d+), (\d+)/.exec(getComputedStyle(probe).color) ?? [, "0", "0", "0"];
    return `#${[red, green, blue].map((part) => Number(part).toString(16).padStart(2, "0")).join("")}`;
  });
  return { text: text ?? "#888888", line: line ?? "#888888", grid: grid ?? "#888888" };
}
