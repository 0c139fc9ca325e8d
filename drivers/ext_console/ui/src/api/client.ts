/** The service's API, with the types of its OpenAPI document. */
import createClient, { type Middleware } from "openapi-fetch";
import { asked, unattended } from "./connection.ts";
import { apiError } from "./errors.ts";
import type { paths } from "./schema.d.ts";
import { csrf, sessionEnded } from "./session.ts";

export const API = "/console/api";

const guard: Middleware = {
  onRequest({ request }) {
    request.headers.set("Accept", "application/json");
    if (unattended()) request.headers.set("X-Console-Background", "1");
    if (!["GET", "HEAD"].includes(request.method)) request.headers.set("X-CSRF-Token", csrf.value);
    return request;
  },
  onResponse({ response }) {
    if (response.status === 401) sessionEnded();
  },
};

export const client = createClient<paths>({ baseUrl: API, fetch: (request) => asked(request), querySerializer: { array: { style: "form", explode: true } } });
client.use(guard);

/** The data of an answer. Throws ApiError for one that is no success. */
export async function data<T>(answer: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data: found, error, response } = await answer;
  if (!response.ok) throw apiError(response, error);
  return found as T;
}

/** A path that the document of this build does not know: a link of a list (`next`), routes that only some services have. */
export async function raw<T>(path: string, init: RequestInit = {}): Promise<T> {
  const headers = new Headers(init.headers);
  headers.set("Accept", "application/json");
  if (unattended()) headers.set("X-Console-Background", "1");
  if (init.method && init.method !== "GET") headers.set("X-CSRF-Token", csrf.value);
  const response = await asked(API + path, { ...init, headers });
  if (response.status === 401) sessionEnded();
  const text = await response.text();
  let found: unknown = null;
  try {
    found = text ? JSON.parse(text) : null;
  } catch {
    found = null; // a page of a proxy
  }
  if (!response.ok) throw apiError(response, found);
  return found as T;
}
