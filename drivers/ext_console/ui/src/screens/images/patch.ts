import { raw } from "../../api/client.ts";

export interface Change {
  op: "add" | "replace" | "remove";
  path: string;
  value?: unknown;
}

/** "/" and the name of a field or property, with what JSON Pointer wants instead of ~ and /. */
export function pointer(name: string): string {
  return `/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`;
}

/** What has to be changed for `after`, which may lack names of `before`. */
export function difference(before: Readonly<Record<string, string>>, after: Readonly<Record<string, string>>): Change[] {
  const gone = Object.keys(before).filter((x) => !(x in after)).map((x): Change => ({ op: "remove", path: pointer(x) }));
  const set = Object.entries(after).filter(([name, value]) => before[name] !== value)
    .map(([name, value]): Change => ({ op: name in before ? "replace" : "add", path: pointer(name), value }));
  return [...gone, ...set];
}

export function patch(image: string, changes: readonly Change[]): Promise<unknown> {
  return raw(`/v2/images/${image}`, { method: "PATCH", body: JSON.stringify(changes), headers: { "Content-Type": "application/openstack-images-v2.1-json-patch" } });
}
