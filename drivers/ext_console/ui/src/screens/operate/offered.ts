/** Which of the operator's screens this service has. */
import { signal } from "@preact/signals";
import { ApiError } from "../../api/errors.ts";
import { raw } from "../../api/client.ts";

export type Part = "work" | "jobs" | "events" | "stores";

/** false: it was asked, and is not there; the screen is then not offered. */
export const offered = signal<Partial<Record<Part, boolean>>>({});

/** What the operator's route says; null where there is none. */
export async function operated<T>(part: Part, query = ""): Promise<T | null> {
  try {
    const found = await raw<T>(`/v2/console/${part}${query}`);
    offered.value = { ...offered.value, [part]: true };
    return found;
  } catch (error) {
    if (!(error instanceof ApiError) || ![403, 404].includes(error.status)) throw error;
    offered.value = { ...offered.value, [part]: false };
    return null;
  }
}
