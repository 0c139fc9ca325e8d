/** What has been done, said once and to screen readers as well. */
import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { t } from "../text.ts";

interface Toast {
  id: number;
  text: string;
}

const toasts = signal<Toast[]>([]);
let last = 0;

export function say(text: string): void {
  const id = ++last;
  toasts.value = [...toasts.value.slice(-2), { id, text }];
  setTimeout(() => gone(id), 6000);
}

function gone(id: number): void {
  toasts.value = toasts.value.filter((x) => x.id !== id);
}

export function Toasts(): JSX.Element {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {toasts.value.map((x) => (
        <p key={x.id}>
          {x.text}
          <button type="button" class="button quiet small" onClick={() => gone(x.id)} aria-label={t("action.dismiss")}>
            ×
          </button>
        </p>
      ))}
    </div>
  );
}
