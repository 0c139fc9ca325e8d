/** Uploads of this page. They go on while one looks at other screens. */
import { computed, signal } from "@preact/signals";
import type { ApiError } from "../api/errors.ts";

export type State = "waiting" | "found" | "making" | "sending" | "paused" | "broken" | "finishing" | "done" | "failed" | "cancelled";

export interface Wanted {
  name: string;
  disk_format: string;
  container_format: string;
  visibility: string;
  tags: string[];
  min_disk: number;
  min_ram: number;
  /** "" is the default store. */
  store: string;
  /** What the data must be, in hexadecimal; "" is not known. */
  digest: string;
}

export interface Item {
  id: number;
  file: File;
  wanted: Wanted;
  state: State;
  /** The image that it becomes. */
  image: string | null;
  sent: number;
  /** Bytes a second, of the last seconds. */
  speed: number;
  /** Of `broken` and `failed`. */
  error: ApiError | null;
  /** How often it broke off and went on. */
  resumed: number;
  /** What was found of the digest at the end. */
  verdict: string;
}

export const items = signal<Item[]>([]);
export const running = computed(() => items.value.filter((x) => ["making", "sending", "broken", "finishing", "waiting"].includes(x.state)));

export function change(id: number, what: Partial<Item>): void {
  items.value = items.value.map((x) => (x.id === id ? { ...x, ...what } : x));
}

export function item(id: number): Item | undefined {
  return items.value.find((x) => x.id === id);
}
