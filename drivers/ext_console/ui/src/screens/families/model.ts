import type { paths } from "../../api/schema.d.ts";

export type Family = paths["/families/{family_id}"]["get"]["responses"][200]["content"]["application/json"];
export type Version = paths["/families/{family_id}/versions/{label}"]["get"]["responses"][200]["content"]["application/json"];
export type Channel = paths["/families/{family_id}/channels/{channel}"]["get"]["responses"][200]["content"]["application/json"];
export type Move = paths["/families/{family_id}/channels/{channel}/history"]["get"]["responses"][200]["content"]["application/json"]["moves"][number];
