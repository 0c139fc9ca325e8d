/** Stores: up or not, what they take, how much lies there, and how to take one out of service. */
import type { JSX } from "preact";
import { away } from "../../api/connection.ts";
import { session } from "../../api/session.ts";
import { bytes, count } from "../../format.ts";
import { stores as brief, type Store as Brief } from "../../info.ts";
import { useQuery } from "../../query.ts";
import { t, tn } from "../../text.ts";
import { Badge, Facts, Loading, Note, Screen, Section, Time, Trouble } from "../../ui/parts.tsx";
import { usePermissions } from "../../permissions.ts";
import { Evacuating, OutOfService, type Evacuation } from "./evacuation.tsx";
import { operated } from "./offered.ts";

interface Store {
  id: string;
  driver: string | null;
  state: "up" | "down" | "unused" | "not configured";
  why: string;
  default: boolean;
  writable: boolean;
  draining_since: string | null;
  free: number | null;
  images: number;
  inventory: { at: string; bytes: number; only: number; damaged: number; lost: number } | null;
  evacuation?: Evacuation | null;
}

export function Stores(): JSX.Element {
  const admin = session.value?.is_admin ?? false;
  const may = usePermissions();
  const whole = useQuery(admin ? "stores of operators" : null, () => operated<{ stores: Store[] }>("stores"),
    (found) => (found?.stores.some((x) => x.evacuation?.state === "running") ? 1500 : 15_000));
  const short = useQuery(!admin || whole.data === null ? "stores" : null, () => brief(), 15_000);
  const found = whole.data ? whole : short;
  return (
    <Screen title={t("stores.title")} about={t("stores.about")}>
      {(whole.error ?? short.error) && away.value === null && <Trouble error={(whole.error ?? short.error)!} retry={found.reload} />}
      {!whole.data && !short.data && (whole.loading || short.loading) && <Loading label={t("stores.asking")} />}
      <div class="grid">{whole.data ? whole.data.stores.map((x) => <Whole key={x.id} store={x} may={may("console_maintain")} changed={whole.reload} />) : short.data?.map((x) => <Short key={x.id} store={x} />)}</div>
    </Screen>
  );
}

function Short({ store }: { store: Brief }): JSX.Element {
  return (
    <Section title={store.id}>
      {store.description && <p>{store.description}</p>}
      <p class="row">
        {store.available === "false" ? <Badge tone="bad">{t("store.down")}</Badge> : <Badge tone="good">{t("store.up")}</Badge>}
        {store.default === "true" && <Badge>{t("store.default")}</Badge>}
        {store["read-only"] === "true" && <Badge tone="warn">{t("store.readonly")}</Badge>}
      </p>
    </Section>
  );
}

const STATES = { up: "store.up", down: "store.down", unused: "store.unused", "not configured": "store.unknown" } as const;
const TONES = { up: "good", down: "bad", unused: "plain", "not configured": "warn" } as const;

function Whole({ store, may, changed }: { store: Store; may: boolean; changed: () => void }): JSX.Element {
  const found = store.inventory;
  return (
    <Section title={store.id} actions={may && store.state !== "not configured" && <OutOfService store={store} changed={changed} />}>
      <p class="row">
        <Badge tone={TONES[store.state]}>{t(STATES[store.state])}</Badge>
        {store.default && <Badge>{t("store.default")}</Badge>}
        {store.draining_since ? <Badge tone="warn">{t("store.draining")}</Badge> : !store.writable && store.state === "up" && <Badge tone="warn">{t("store.readonly")}</Badge>}
      </p>
      {store.why && <Note tone="bad">{store.why}</Note>}
      {found && found.lost > 0 && <Note tone="bad">{tn("store.lost", found.lost)}</Note>}
      {found && found.damaged > 0 && <Note tone="warn">{tn("store.damaged", found.damaged)}</Note>}
      <Facts
        rows={[
          store.driver && [t("store.type"), store.driver],
          [t("store.images"), <a href={`/console/images?visibility=all`}>{count(store.images)}</a>],
          [t("store.bytes"), found ? bytes(found.bytes) : t("store.counting")],
          found && [t("store.only"), count(found.only)],
          [t("store.free"), store.free === null ? t("store.free.unknown") : bytes(store.free)],
          store.draining_since && [t("store.draining.since"), <Time at={store.draining_since} />],
        ]}
      />
      {store.evacuation && <Evacuating store={store} evacuation={store.evacuation} may={may} changed={changed} />}
      <details>
        <summary>{t("store.out")}</summary>
        <p class="muted">{t("store.out.about")}</p>
        <pre>{`glance-manage store drain ${store.id}\nglance-manage store evacuate ${store.id} --dry-run\nglance-manage store evacuate ${store.id}`}</pre>
      </details>
    </Section>
  );
}
