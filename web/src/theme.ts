// Light or dark: as the system says, until somebody chooses.
import { effect, signal } from "@preact/signals";

const KEPT = "paceline-theme";
const system = window.matchMedia("(prefers-color-scheme: dark)");
const chosen = signal<string | null>(localStorage.getItem(KEPT));
const systemIsDark = signal(system.matches);
system.addEventListener("change", () => { systemIsDark.value = system.matches; });

export const isDark = signal(false);

effect(() => {
  isDark.value = chosen.value ? chosen.value === "dark" : systemIsDark.value;
  document.documentElement.dataset["theme"] = isDark.value ? "dark" : "light";
});

export function toggleTheme(): void {
  chosen.value = isDark.value ? "light" : "dark";
  localStorage.setItem(KEPT, chosen.value);
}

/// The colour that a variable of the style sheet has at present.
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
