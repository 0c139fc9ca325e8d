/** Who is using the console. The session is the server's: this page holds what it tells of it, and never a token. */
import { computed, signal } from "@preact/signals";
import { asked, renewed } from "./connection.ts";
import { apiError } from "./errors.ts";

export interface Named {
  id: string;
  name: string;
}

export interface LoginField {
  name: string;
  label?: string;
  secret?: boolean;
  required?: boolean;
  value?: string;
}

export interface LoginMethod {
  name: "none" | "basic" | "password" | "application_credential" | "websso" | "proxy";
  label: string;
  fields: (LoginField | string)[];
  url?: string;
}

export interface Session {
  authenticated: boolean;
  methods: LoginMethod[];
  user: Named | null;
  project: Named | null;
  roles: string[];
  is_admin: boolean;
  projects: Named[];
  csrf: string | null;
  expires_at: string | null;
  service: { version: string; extensions: string[]; upload: { tus: string | null; chunk: number } };
  locale?: string;
}

/** null until the service has been asked. */
export const session = signal<Session | null>(null);
/** Somebody was logged in, and is no more: what is on the screen stays while he logs in again. */
export const expired = signal(false);
export const csrf = computed(() => session.value?.csrf ?? "");

async function told(method: string, path: string, body?: unknown): Promise<unknown> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (method !== "GET" && csrf.value) headers["X-CSRF-Token"] = csrf.value;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const response = await asked(path, { method, headers, cache: "no-store", ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const text = await response.text();
  let parsed: unknown = null;
  try {
    parsed = text ? JSON.parse(text) : null;
  } catch {
    parsed = null; // a page of a proxy
  }
  if (!response.ok) throw apiError(response, parsed);
  return parsed;
}

export async function loadSession(): Promise<Session> {
  const found = (await told("GET", "/console/session")) as Session;
  session.value = found;
  if (found.authenticated) expired.value = false;
  return found;
}

/** The screen is kept when the same person comes back to the same project. */
export async function login(method: string, fields: Record<string, string>): Promise<void> {
  await told("POST", "/console/session", { method, ...fields });
  await loadSession();
  renewed();
}

export async function logout(everywhere = false): Promise<void> {
  await told("DELETE", everywhere ? "/console/sessions" : "/console/session");
  expired.value = false;
  await loadSession();
}

export async function chooseProject(id: string): Promise<void> {
  await told("PUT", "/console/session/project", { project: id });
  await loadSession();
  renewed();
}

/** A request was answered that there is no session. */
export function sessionEnded(): void {
  if (session.value?.authenticated) expired.value = true;
}

export function extension(name: string): boolean {
  return session.value?.service.extensions.includes(name) ?? false;
}

/** Rules of the policy: what the caller may not do is not offered. An empty answer: nothing is known, all is offered and the service decides. */
export async function loadPermissions(image?: string): Promise<Record<string, boolean>> {
  return (await told("GET", `/console/permissions${image ? `?image=${encodeURIComponent(image)}` : ""}`)) as Record<string, boolean>;
}
