/** Images as the API has them, with what extensions show. */
import type { paths } from "../../api/schema.d.ts";

type Shown = paths["/v2/images/{image_id}"]["get"]["responses"][200]["content"]["application/json"];

export type Image = Shown & {
  stores?: string;
  os_glance_import_task?: string;
  os_glance_importing_to_stores?: string;
  os_glance_failed_import?: string;
  os_glance_last_error?: string;
  /** By the extension families. */
  family?: string;
  family_version?: string;
  channel?: string;
  deprecated_at?: string;
  obsolete_at?: string;
  ends_at?: string;
  replacement?: string;
};

export type Task = NonNullable<paths["/v2/images/{image_id}/tasks"]["get"]["responses"][200]["content"]["application/json"]["tasks"]>[number];
export type Member = paths["/v2/images/{image_id}/members"]["get"]["responses"][200]["content"]["application/json"]["members"][number];

const FIELDS = new Set(["id", "name", "status", "visibility", "protected", "os_hidden", "checksum", "os_hash_algo", "os_hash_value", "owner", "size", "virtual_size",
  "container_format", "disk_format", "created_at", "updated_at", "tags", "min_ram", "min_disk", "self", "file", "schema", "stores", "locations", "direct_url", "family",
  "family_version", "channel", "deprecated_at", "obsolete_at", "ends_at", "replacement", "census_zeros"]);

/** Names and values that people gave it, beside the fields that all images have. */
export function properties(image: Image): [string, string][] {
  return Object.entries(image)
    .filter(([name, value]) => !FIELDS.has(name) && !name.startsWith("os_glance") && typeof value === "string")
    .sort(([a], [b]) => a.localeCompare(b)) as [string, string][];
}

export function storesOf(image: Image): string[] {
  return image.stores?.split(",").filter(Boolean) ?? [];
}

/** Something works on it now: it is worth looking again soon. */
export function busy(image: Image): boolean {
  return ["saving", "uploading", "importing"].includes(image.status) || Boolean(image.os_glance_importing_to_stores);
}

export type Age = "current" | "deprecated" | "obsolete" | "ended";

export function age(image: Image, now: number = Date.now()): Age {
  const past = (time: string | undefined): boolean => time !== undefined && Date.parse(time) <= now;
  return past(image.ends_at) ? "ended" : past(image.obsolete_at) ? "obsolete" : past(image.deprecated_at) ? "deprecated" : "current";
}
