/** Metadata definitions for images: what each property means, and which values it takes. */
import { client, data } from "./api/client.ts";
import type { paths } from "./api/schema.d.ts";

export type Namespace = paths["/v2/metadefs/namespaces/{namespace}"]["get"]["responses"][200]["content"]["application/json"];
export type Definition = NonNullable<Namespace["properties"]>[string];

export interface Known {
  /** As the image has it, with the prefix of its namespace. */
  name: string;
  namespace: string;
  /** Of an object of the namespace. */
  object?: string;
  definition: Definition;
}

export const IMAGE = "OS::Glance::Image";
/** Namespaces of a page of the list. */
const PAGE = 100;

export async function namespaceNames(resourceType?: string): Promise<{ namespace: string; display_name?: string | undefined; description?: string | undefined }[]> {
  const names = [];
  for (let marker: string | undefined; ; ) {
    const found = await data(client.GET("/v2/metadefs/namespaces", { params: { query: { limit: PAGE, ...(marker ? { marker } : {}), ...(resourceType ? { resource_types: resourceType } : {}) } as never } }));
    names.push(...(found.namespaces ?? []));
    if (!found.next || !found.namespaces?.length) return names;
    marker = found.namespaces.at(-1)?.namespace;
  }
}

/** A namespace with all that is in it; with a resource type the names of properties have its prefix. */
export async function namespace(name: string, resourceType?: string): Promise<Namespace> {
  return data(client.GET("/v2/metadefs/namespaces/{namespace}", { params: { path: { namespace: name }, query: resourceType ? { resource_type: resourceType } : {} } }));
}

let imageProperties: Promise<Known[]> | null = null;

/** All that images may have, asked once for each visit. */
export function knownProperties(): Promise<Known[]> {
  imageProperties ??= (async () => {
    const found = await Promise.all((await namespaceNames(IMAGE)).map((x) => namespace(x.namespace, IMAGE)));
    return found.flatMap(flat);
  })();
  imageProperties.catch(() => (imageProperties = null));
  return imageProperties;
}

export function flat(space: Namespace): Known[] {
  const own = Object.entries(space.properties ?? {}).map(([name, definition]) => ({ name, namespace: space.namespace ?? "", definition }));
  const inObjects = (space.objects ?? []).flatMap((x) =>
    Object.entries(x.properties ?? {}).map(([name, definition]) => ({ name, namespace: space.namespace ?? "", object: x.name ?? "", definition: definition as Definition })));
  return [...own, ...inObjects];
}
