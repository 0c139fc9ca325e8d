/** Light, dark, or what the system says; kept in this browser. */
import { signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";
const KEY = "glancecore-theme";

export const theme = signal<Theme>("system");

export function chooseTheme(chosen: Theme): void {
  theme.value = chosen;
  document.documentElement.dataset.theme = chosen;
  kept(KEY, chosen);
}

export function startTheme(): void {
  const found = keptValue(KEY);
  chooseTheme(found === "light" || found === "dark" ? found : "system");
}

/** localStorage, where the browser allows it. */
export function kept(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // it is asked again next time
  }
}

export function keptValue(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}
