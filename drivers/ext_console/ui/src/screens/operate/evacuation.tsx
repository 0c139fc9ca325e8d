/** Taking a store out of service: drain it, see what emptying it would do, empty it, stop that, take data again. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { raw } from "../../api/client.ts";
import { bytes, count } from "../../format.ts";
import { useAction } from "../../query.ts";
import { t, tn, tw } from "../../text.ts";
import { Confirm } from "../../ui/forms.tsx";
import { Button, Note, Time, Trouble, type Tone } from "../../ui/parts.tsx";

export interface Evacuation {
  state: "running" | "ended" | "stopped" | "failed" | "cut off";
  stopping: boolean;
  dry_run: boolean;
  by: string | null;
  started_at: string;
  ended_at: string | null;
  why: string;
  images: number;
  moved: number;
  dropped: number;
  failed: number;
  busy: number;
  bytes: number;
  problems: { image: string; outcome: string; why: string }[];
}

interface Of {
  id: string;
  draining_since: string | null;
  images: number;
  inventory: { bytes: number; only: number } | null;
  evacuation?: Evacuation | null;
}

function path(store: Of, what: string): string {
  return `/v2/console/stores/${encodeURIComponent(store.id)}/${what}`;
}

async function empty(store: Of, dry: boolean): Promise<void> {
  await raw(path(store, "evacuation"), { method: "POST", body: JSON.stringify({ dry_run: dry }), headers: { "Content-Type": "application/json" } });
}

type Open = "" | "drain" | "undrain" | "evacuate";

export function OutOfService({ store, changed }: { store: Of; changed: () => void }): JSX.Element {
  const [open, setOpen] = useState<Open>("");
  const close = (): void => setOpen("");
  const turn = async (action: "drain" | "undrain"): Promise<void> => {
    await raw(path(store, `actions/${action}`), { method: "POST" });
    changed();
  };
  const runs = store.evacuation?.state === "running";
  const used = store.inventory ? t("evacuate.effect.bytes", { size: bytes(store.inventory.bytes), only: count(store.inventory.only) }) : "";
  return (
    <>
      {!store.draining_since && <Button onClick={() => setOpen("drain")}>{t("action.drain")}</Button>}
      {store.draining_since && !runs && <Button onClick={() => setOpen("undrain")}>{t("action.undrain")}</Button>}
      {store.draining_since && !runs && store.images > 0 && <Button kind="danger" onClick={() => setOpen("evacuate")}>{t("action.evacuate")}</Button>}
      {open === "drain" && (
        <Confirm title={t("drain.title", { store: store.id })} effects={[t("drain.effect.new"), t("drain.effect.there"), t("drain.effect.back")]} action={t("action.drain")}
          act={() => turn("drain")} close={close} />
      )}
      {open === "undrain" && (
        <Confirm title={t("undrain.title", { store: store.id })} effects={[t("undrain.effect")]} action={t("action.undrain")} act={() => turn("undrain")} close={close} />
      )}
      {open === "evacuate" && <Evacuate store={store} used={used} changed={changed} close={close} />}
    </>
  );
}

function Evacuate({ store, used, changed, close }: { store: Of; used: string; changed: () => void; close: () => void }): JSX.Element {
  const trying = useAction(async () => {
    await empty(store, true);
    changed();
    close();
  });
  return (
    <Confirm title={t("evacuate.title", { store: store.id })} danger action={t("action.evacuate")}
      effects={[tn("evacuate.effect.images", store.images), ...(used ? [used] : []), t("evacuate.effect.proven"), t("evacuate.effect.meanwhile"), t("evacuate.effect.leave")]}
      act={async () => {
        await empty(store, false);
        changed();
      }}
      close={close}>
      {trying.error && <Trouble error={trying.error} />}
      <p>
        <Button busy={trying.busy} onClick={() => void trying.run()} title={t("evacuate.try.means")}>
          {t("action.try")}
        </Button>
      </p>
    </Confirm>
  );
}

const TONES: Record<Evacuation["state"], Tone> = { running: "busy", ended: "good", stopped: "warn", failed: "bad", "cut off": "warn" };

/** How far it is, what could not be moved and why, and what to do then. */
export function Evacuating({ store, evacuation: run, may, changed }: { store: Of; evacuation: Evacuation; may: boolean; changed: () => void }): JSX.Element {
  const stopping = useAction(async () => {
    await raw(path(store, "evacuation"), { method: "DELETE" });
    changed();
  });
  const done = run.moved + run.dropped + run.failed + run.busy;
  const stays = run.state === "ended" && run.failed + run.busy > 0;
  return (
    <Note tone={stays ? "warn" : TONES[run.state]} role="status">
      <strong>{tw(run.dry_run ? "evacuation.dry" : "evacuation", run.state)}</strong>{" "}
      <span class="muted">
        <Time at={run.ended_at ?? run.started_at} />
        {run.by && ` ${t("evacuation.by", { who: run.by })}`}
      </span>
      {run.state === "running" && <progress aria-label={t("evacuation.progress", { store: store.id })} max={Math.max(run.images, done, 1)} value={done} />}
      <p>
        {t(run.dry_run ? "evacuation.dry.counts" : "evacuation.counts", { done: count(done), images: count(Math.max(run.images, done)), size: bytes(run.bytes), moved: count(run.moved), dropped: count(run.dropped) })}
        {run.failed > 0 && ` ${tn("evacuation.failed.count", run.failed)}`}
        {run.busy > 0 && ` ${tn("evacuation.busy.count", run.busy)}`}
      </p>
      {run.why && <p class="said">{run.why}</p>}
      {run.problems.length > 0 && (
        <details open={run.state !== "running"}>
          <summary>{t("evacuation.problems")}</summary>
          <ul class="list">
            {run.problems.map((x) => (
              <li key={x.image}>
                <a href={`/console/images/${x.image}`}>{x.image}</a> <span>{x.why}</span>
              </li>
            ))}
          </ul>
        </details>
      )}
      {(["stopped", "failed", "cut off"].includes(run.state) || stays) && !run.dry_run && <p>{t("evacuation.todo")}</p>}
      {run.state === "ended" && !run.dry_run && !stays && store.images === 0 && <p>{t("evacuation.empty", { store: store.id })}</p>}
      {stopping.error && <Trouble error={stopping.error} />}
      {run.state === "running" && may && (
        <p>
          <Button busy={stopping.busy || run.stopping} onClick={() => void stopping.run()}>
            {t("action.stop")}
          </Button>
        </p>
      )}
    </Note>
  );
}
