/** Whether the service answers. When it does not, it is asked until it does, and what is shown is loaded anew then. */
import { signal } from "@preact/signals";
import { ApiError } from "./errors.ts";

/** When it was found to be away; null while it answers. */
export const away = signal<number | null>(null);
/** Grows each time that what is shown has to be loaded anew: the service came back, another project was chosen, somebody logged in. */
export const epoch = signal(0);

let lastInput = Date.now();
for (const each of ["pointerdown", "keydown", "wheel"]) addEventListener(each, () => (lastInput = Date.now()), { passive: true });

/** Nobody has touched the page for a minute: what it asks by itself does not keep the session alive. */
export function unattended(): boolean {
  return Date.now() - lastInput > 60_000;
}

let timer: ReturnType<typeof setTimeout> | undefined;
let wait = 1000;

export function renewed(): void {
  epoch.value += 1;
}

/** fetch, which notes whether the service answers. Throws ApiError of status 0 when it does not. */
export async function asked(input: Request | string, init?: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(input, init);
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    lost();
    throw new ApiError(0, "");
  }
  // what a proxy says when nobody is behind it
  const proxy = [502, 504].includes(response.status) || (response.status === 503 && !response.headers.get("x-openstack-request-id"));
  if (proxy) lost();
  else if (away.value !== null) found();
  return response;
}

export function lost(): void {
  if (away.value !== null) return;
  away.value = Date.now();
  wait = 1000;
  timer = setTimeout(tryNow, wait);
}

export async function tryNow(): Promise<void> {
  clearTimeout(timer);
  try {
    const response = await fetch("/console/session", { headers: { Accept: "application/json" }, cache: "no-store" });
    if (response.status < 500) return found();
  } catch {
    // still away
  }
  wait = Math.min(wait * 1.5, 10_000);
  timer = setTimeout(tryNow, wait);
}

function found(): void {
  clearTimeout(timer);
  if (away.value === null) return;
  away.value = null;
  renewed();
}
