/** What this deployment offers. Its document tells no more than that these answers are objects. */
import { client, data } from "./api/client.ts";

export interface Store {
  id: string;
  description?: string;
  default?: string;
  "read-only"?: string;
  available?: string;
  /** For admins. */
  type?: string;
  weight?: number;
  "unavailable-because"?: string;
}

export async function stores(detail = false): Promise<Store[]> {
  const found: unknown = await data(detail ? client.GET("/v2/info/stores/detail", {}) : client.GET("/v2/info/stores", {}));
  return (found as { stores: Store[] }).stores;
}

/** It takes new data now. */
export function takes(store: Store): boolean {
  return store["read-only"] !== "true" && store.available !== "false";
}

export async function importMethods(): Promise<string[]> {
  const found: unknown = await data(client.GET("/v2/info/import", {}));
  return (found as { "import-methods": { value: string[] } })["import-methods"].value;
}
