/** What the list of images can show. */
import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { bytes } from "../../format.ts";
import { t, type Key } from "../../text.ts";
import { Badge, Status, Time } from "../../ui/parts.tsx";
import { kept, keptValue } from "../../ui/theme.ts";
import { age, storesOf, type Image } from "./model.ts";
import { LastUsed } from "./uses.tsx";

export interface Column {
  id: string;
  title: Key;
  /** The API sorts by it. */
  sorts?: boolean;
  /** Only with this extension. */
  extension?: string;
  /** rem */
  width: number;
  right?: boolean;
  /** Stays on a narrow screen. */
  narrow?: boolean;
  cell: (image: Image) => ComponentChildren;
}

const none = <span class="muted">–</span>;

export const COLUMNS: readonly Column[] = [
  { id: "name", title: "image.name", sorts: true, width: 12, narrow: true, cell: (x) => <a href={`/console/images/${x.id}`}>{x.name || x.id}</a> },
  { id: "status", title: "image.status", sorts: true, width: 7, narrow: true, cell: (x) => <Status word={x.status} /> },
  { id: "size", title: "image.size", sorts: true, width: 5.5, right: true, narrow: true, cell: (x) => bytes(x.size) },
  { id: "disk_format", title: "image.disk_format", sorts: true, width: 6, cell: (x) => x.disk_format ?? none },
  { id: "visibility", title: "image.visibility", width: 8, cell: (x) => t(`visibility.${x.visibility}`) },
  { id: "family", title: "image.family", extension: "families", width: 9.5, cell: (x) => (x.family ? `${x.family}:${x.family_version ?? ""}` : none) },
  { id: "channel", title: "image.channel", extension: "families", width: 6.5,
    cell: (x) => x.channel?.split(",").map((each) => <Badge key={each} tone="busy">{each}</Badge>) ?? none },
  { id: "deprecation", title: "image.deprecation", extension: "families", width: 7, cell: (x) => {
    const found = age(x);
    if (found !== "current") return <Status word={found} kind="version" />;
    return x.deprecated_at ? <Time at={x.deprecated_at} /> : none;
  } },
  { id: "stores", title: "image.stores", width: 6, cell: (x) => storesOf(x).map((each) => <Badge key={each}>{each}</Badge>) },
  { id: "created_at", title: "image.created_at", sorts: true, width: 9.5, cell: (x) => <Time at={x.created_at} /> },
  { id: "updated_at", title: "image.updated_at", sorts: true, width: 9.5, cell: (x) => <Time at={x.updated_at} /> },
  { id: "last_used_at", title: "image.last_used_at", width: 8, cell: (x) => <LastUsed id={x.id} /> },
  { id: "tags", title: "image.tags", width: 12, cell: (x) => x.tags.map((each) => <Badge key={each}>{each}</Badge>) },
  { id: "owner", title: "image.owner", width: 12, cell: (x) => x.owner ?? none },
  { id: "virtual_size", title: "image.virtual_size", width: 8, right: true, cell: (x) => bytes(x.virtual_size) },
  { id: "min_disk", title: "image.min_disk", width: 7, right: true, cell: (x) => (x.min_disk ? t("unit.gib", { n: x.min_disk }) : none) },
  { id: "min_ram", title: "image.min_ram", width: 7, right: true, cell: (x) => (x.min_ram ? t("unit.mib", { n: x.min_ram }) : none) },
  { id: "protected", title: "image.protected", width: 6, cell: (x) => (x.protected ? t("yes") : none) },
  { id: "id", title: "image.id", sorts: true, width: 20, cell: (x) => <code>{x.id}</code> },
];

const KEY = "glancecore-columns";
const USUAL = ["name", "status", "size", "family", "channel", "deprecation", "stores", "created_at"];

function first(): string[] {
  const found = keptValue(KEY)?.split(",").filter((x) => COLUMNS.some((each) => each.id === x)) ?? [];
  return found.length ? found : USUAL;
}

export const chosen = signal<string[]>(first());

export function choose(ids: string[]): void {
  chosen.value = COLUMNS.map((x) => x.id).filter((x) => x === "name" || ids.includes(x));
  kept(KEY, chosen.value.join(","));
}
