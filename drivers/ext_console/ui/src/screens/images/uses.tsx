/** When images were last used: asked for the rows that are drawn, a few at a time, and kept while the page is. */
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { client } from "../../api/client.ts";
import { epoch } from "../../api/connection.ts";
import { t, tn } from "../../text.ts";
import { Time } from "../../ui/parts.tsx";

interface Use {
  last_used_at: string | null;
  use_count: number;
  counted_since: string;
}

/** Requests at once: the list itself goes before. */
const MOST = 4;
const known = new Map<string, Use | null>();
const waiting: (() => Promise<void>)[] = [];
let running = 0;
let moment = epoch.peek();

function next(): void {
  const work = running < MOST ? waiting.shift() : undefined;
  if (!work) return;
  running++;
  void work().finally(() => {
    running--;
    next();
  });
}

async function ask(id: string): Promise<Use | null> {
  try {
    const { data } = await client.GET("/v2/images/{image_id}/use", { params: { path: { image_id: id } } });
    return (data as Use | undefined) ?? null;
  } catch {
    return null; // the list says that the service is away
  }
}

export function LastUsed({ id }: { id: string }): JSX.Element {
  const [, setTurn] = useState(0);
  if (moment !== epoch.value) {
    moment = epoch.value;
    known.clear();
  }
  useEffect(() => {
    if (known.has(id)) return undefined;
    let live = true;
    const work = async (): Promise<void> => {
      if (!live || known.has(id)) return;
      known.set(id, await ask(id));
      if (live) setTurn((x) => x + 1);
    };
    waiting.push(work);
    next();
    return () => {
      live = false;
      const at = waiting.indexOf(work);
      if (at >= 0) waiting.splice(at, 1);
    };
  }, [id, epoch.value]);
  const use = known.get(id);
  if (!use) return <span class="muted">–</span>;
  return use.last_used_at ? (
    <span title={tn("image.used", use.use_count)}>
      <Time at={use.last_used_at} />
    </span>
  ) : (
    <span class="muted" title={t("image.unused.means")}>
      {t("image.unused.short")}
    </span>
  );
}
