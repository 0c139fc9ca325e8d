/**
 * Uploads in pieces, by tus: they go on where they broke off. Each piece carries its digest, and is sent again where it came damaged. Without the extension tus the
 * data goes in one request, which begins anew when it breaks off.
 */
import { DetailedError, Upload, type HttpRequest } from "tus-js-client";
import { API, client, data } from "../api/client.ts";
import { ApiError } from "../api/errors.ts";
import { csrf, session, sessionEnded } from "../api/session.ts";
import { lost } from "../api/connection.ts";
import { t } from "../text.ts";
import { algorithmOf, digestOf } from "./digest.ts";
import { CheckedFiles } from "./pieces.ts";
import { change, item, items, type Item, type Wanted } from "./state.ts";

/** Files at a time; the others wait. */
const AT_ONCE = 2;
/** Milliseconds before each attempt; the last one is repeated. */
const DELAYS = [500, 1000, 2000, 4000, 8000];
/** Attempts without one byte of progress, after which somebody has to say that it goes on. */
const PATIENCE = 60;

const transfers = new Map<number, { upload: Upload | null; stop: () => void }>();
/** Where each goes on. */
const urls = new Map<number, string>();
const digests = new Map<number, Promise<string>>();
/** Of the images that are made for them. */
const ids = new Map<number, string>();
let last = 0;

export async function add(file: File, wanted: Wanted): Promise<void> {
  const id = ++last;
  const algorithm = algorithmOf(wanted.digest);
  const fresh: Item = { id, file, wanted, state: "waiting", image: null, sent: 0, speed: 0, error: null, resumed: 0, verdict: "" };
  items.value = [...items.value, fresh];
  // the service's digests are md5 and, mostly, sha512: of others the file's own is computed meanwhile
  if (algorithm) digests.set(id, digestOf(file, algorithm));
  digests.get(id)?.catch(() => undefined); // it is looked at in the end
  const image = await goingOn(file);
  if (image) change(id, { state: "found", image });
  else next();
}

/** The image of an upload of this file that was broken off, in this browser, and can go on. */
async function goingOn(file: File): Promise<string | null> {
  const [earlier] = await previous(file);
  if (!earlier?.metadata.image) return null;
  const { data: found } = await client.GET("/v2/images/{image_id}", { params: { path: { image_id: earlier.metadata.image } } });
  if (found?.status === "saving") return earlier.metadata.image;
  await forget(file);
  return null;
}

async function forget(file: File): Promise<void> {
  const storage = new Upload(file, { endpoint: API, fingerprint }).options.urlStorage;
  for (const each of await previous(file)) await storage?.removeUpload(each.urlStorageKey);
}

function previous(file: File): ReturnType<Upload["findPreviousUploads"]> {
  return new Upload(file, { endpoint: API, fingerprint }).findPreviousUploads().then((all) => all.filter((x) => x.metadata.image));
}

/** The same file of the same project, whatever page it was begun in. */
async function fingerprint(file: File): Promise<string> {
  return ["glancecore", session.value?.project?.id ?? "", file.name, file.size, file.lastModified].join(":");
}

/** An earlier upload of this file goes on, or is forgotten. */
export async function decide(id: number, goOn: boolean): Promise<void> {
  const found = item(id);
  if (!found) return;
  if (!goOn) {
    await forget(found.file);
    change(id, { image: null });
  }
  change(id, { state: "waiting" });
  next();
}

export function pause(id: number): void {
  transfers.get(id)?.stop();
  change(id, { state: "paused", speed: 0 });
  next();
}

export function resume(id: number): void {
  change(id, { state: "waiting", error: null });
  next();
}

/** Ends it and deletes the image that it was to become. */
export async function cancel(id: number): Promise<void> {
  const found = item(id);
  const transfer = transfers.get(id);
  transfer?.stop();
  transfers.delete(id);
  change(id, { state: "paused", speed: 0 });
  if (found?.image) {
    await data(client.DELETE("/v2/images/{image_id}", { params: { path: { image_id: found.image } } })).catch((error: unknown) => {
      if (!(error instanceof ApiError) || error.status !== 404) throw error; // 404: somebody else has deleted it
    });
  }
  urls.delete(id);
  if (found) await forget(found.file);
  change(id, { state: "cancelled", error: null });
  next();
}

export function dismiss(id: number): void {
  items.value = items.value.filter((x) => x.id !== id);
  transfers.delete(id);
  digests.delete(id);
}

/** Somebody has logged in again: what had to wait for that goes on. */
export function sessionIsBack(): void {
  for (const each of items.value) {
    if (each.state === "broken" && each.error?.status === 401) resume(each.id);
  }
}

function next(): void {
  const busy = items.value.filter((x) => ["making", "sending", "broken", "finishing"].includes(x.state)).length;
  const waiting = items.value.find((x) => x.state === "waiting");
  if (waiting && busy < AT_ONCE) void run(waiting);
}

async function run(one: Item): Promise<void> {
  change(one.id, { state: "making", error: null });
  next();
  try {
    const image = one.image ?? (await make(one));
    change(one.id, { image });
    if (item(one.id)?.state !== "making") return;
    if (session.value?.service.upload.tus !== null && session.value?.service.upload.tus !== undefined) await inPieces(one, image);
    else await inOne(one, image);
    if (item(one.id)?.state !== "sending" && item(one.id)?.state !== "broken") return;
    change(one.id, { state: "finishing", sent: one.file.size, speed: 0 });
    const verdict = await finished(image, one);
    change(one.id, { state: "done", verdict });
  } catch (error) {
    if (["paused", "cancelled"].includes(item(one.id)?.state ?? "")) return;
    const known = error instanceof ApiError ? error : new ApiError(-1, error instanceof Error ? error.message : String(error));
    change(one.id, { state: known.status === 401 ? "broken" : "failed", error: known, speed: 0 });
  } finally {
    transfers.delete(one.id);
    next();
  }
}

/** The id is chosen here: an answer that gets lost makes no second image. */
async function make(one: Item): Promise<string> {
  const { name, disk_format, container_format, visibility, tags, min_disk, min_ram } = one.wanted;
  const id = ids.get(one.id) ?? newId();
  ids.set(one.id, id);
  const body = { id, name, disk_format, container_format, visibility, tags, min_disk, min_ram } as never;
  try {
    await data(client.POST("/v2/images", { body }));
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 409)) throw error;
    const { data: found } = await client.GET("/v2/images/{image_id}", { params: { path: { image_id: id } } });
    if (found?.status !== "queued") {
      ids.delete(one.id); // it was deleted meanwhile: the next attempt takes another one
      throw error;
    }
  }
  return id;
}

/** A UUID; the browser's own maker of them is for pages by TLS alone. */
function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  const hex = Array.from(bytes, (x) => x.toString(16).padStart(2, "0")).join("");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

function inPieces(one: Item, image: string): Promise<void> {
  return new Promise((done, failed) => {
    const speed = new Speed();
    const files = new CheckedFiles();
    let still = 0;
    let broke = false;
    const upload = new Upload(one.file, {
      endpoint: `${API}/v2/images/${image}/uploads`,
      chunkSize: session.value?.service.upload.chunk || 64 << 20,
      retryDelays: Array.from({ length: PATIENCE }, (_, i) => DELAYS[Math.min(i, DELAYS.length - 1)] as number),
      metadata: { filename: one.file.name, image, ...(one.wanted.store ? { store: one.wanted.store } : {}) },
      uploadUrl: urls.get(one.id) ?? null,
      onUploadUrlAvailable: () => void (upload.url && urls.set(one.id, upload.url)),
      fingerprint,
      removeFingerprintOnSuccess: true,
      fileReader: files,
      onBeforeRequest(request) {
        request.setHeader("X-CSRF-Token", csrf.value);
        if (request.getMethod() === "PATCH" && files.checksum) request.setHeader("Upload-Checksum", files.checksum);
      },
      onAfterResponse(_request: HttpRequest, response) {
        if (response.getStatus() < 300 && broke) {
          broke = false;
          change(one.id, { state: "sending", error: null, resumed: (item(one.id)?.resumed ?? 0) + 1 });
        }
      },
      onShouldRetry(error) {
        const answer = error.originalResponse;
        const status = answer?.getStatus() ?? 0;
        // 460: the piece came damaged; 409, 423: a newer request has taken over, the offset is asked for
        const passes = status === 0 || status >= 500 || [408, 409, 423, 429, 460].includes(status);
        if (!passes || still >= PATIENCE) return false;
        still += 1;
        broke = true;
        if (status === 0) lost();
        change(one.id, { state: "broken", speed: 0, error: new ApiError(status, status ? said(answer?.getBody() ?? "") : "") });
        return true;
      },
      onProgress(sent) {
        still = 0;
        speed.note(sent);
        change(one.id, { sent, speed: speed.value });
      },
      onSuccess: () => done(),
      onError(error) {
        const answer = error instanceof DetailedError ? error.originalResponse : null;
        const status = answer?.getStatus() ?? (error instanceof DetailedError ? 0 : -1);
        if (status === 401) sessionEnded();
        failed(new ApiError(status, answer ? said(answer.getBody()) : status === 0 ? "" : error.message));
      },
    });
    transfers.set(one.id, { upload, stop: () => void upload.abort().then(() => failed(new ApiError(0, ""))) });
    change(one.id, { state: "sending" });
    void upload.findPreviousUploads().then(([earlier]) => {
      if (!urls.has(one.id) && earlier && earlier.metadata.image === image) upload.resumeFromPreviousUpload(earlier);
      if (item(one.id)?.state === "sending") upload.start();
    });
  });
}

/** XMLHttpRequest, as fetch tells nothing of how much has been sent. */
function inOne(one: Item, image: string): Promise<void> {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    const speed = new Speed();
    request.open("PUT", `${API}/v2/images/${image}/file`);
    request.setRequestHeader("Content-Type", "application/octet-stream");
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("X-CSRF-Token", csrf.value);
    if (one.wanted.store) request.setRequestHeader("x-image-meta-store", one.wanted.store);
    request.upload.onprogress = (event) => {
      speed.note(event.loaded);
      change(one.id, { sent: event.loaded, speed: speed.value });
    };
    request.onload = () => {
      if (request.status === 401) sessionEnded();
      if (request.status < 300) done();
      else failed(new ApiError(request.status, said(request.responseText)));
    };
    request.onerror = () => {
      lost();
      failed(new ApiError(0, ""));
    };
    request.onabort = () => failed(new ApiError(0, ""));
    transfers.set(one.id, { upload: null, stop: () => request.abort() });
    change(one.id, { state: "sending", sent: 0 });
    request.send(one.file);
  });
}

/** Waits until the service has made the image of what it got, and compares the digest. Returns what to say of it. */
async function finished(image: string, one: Item): Promise<string> {
  for (let pause = 200; ; pause = Math.min(pause * 1.5, 3000)) {
    const found = await data(client.GET("/v2/images/{image_id}", { params: { path: { image_id: image } } })).catch((error: unknown) => {
      if (error instanceof ApiError && (error.status === 0 || error.status >= 500)) return null;
      throw error;
    });
    if (found?.status === "active") return judged(found, one);
    if (found && found.status === "queued") throw new ApiError(-2, String(found["os_glance_last_error"] ?? t("upload.gone")));
    await new Promise((go) => setTimeout(go, pause));
  }
}

async function judged(found: { checksum: string | null; os_hash_algo: string | null; os_hash_value: string | null; size: number | null }, one: Item): Promise<string> {
  if (found.size !== one.file.size) throw new ApiError(-2, t("upload.size", { got: String(found.size), sent: String(one.file.size) }));
  const wanted = one.wanted.digest.toLowerCase();
  const algorithm = algorithmOf(wanted);
  if (!algorithm) return "";
  const stored = algorithm === found.os_hash_algo ? found.os_hash_value : algorithm === "md5" ? found.checksum : null;
  const has = stored ?? (await digests.get(one.id)) ?? "";
  if (has !== wanted) throw new ApiError(-2, t("upload.digest.wrong", { algorithm, wanted, found: has }));
  return t("upload.digest.right", { algorithm });
}

function said(body: string): string {
  try {
    const found = JSON.parse(body) as { message?: string; error?: string };
    return found.message ?? found.error ?? "";
  } catch {
    return "";
  }
}

/** Bytes a second over the last five seconds. */
class Speed {
  value = 0;
  #notes: [number, number][] = [];

  note(sent: number): void {
    const now = performance.now();
    this.#notes = [...this.#notes.filter(([at]) => now - at < 5000), [now, sent]];
    const [at, was] = this.#notes[0] ?? [now, sent];
    this.value = now - at > 300 ? Math.max(0, ((sent - was) / (now - at)) * 1000) : 0;
  }
}

window.addEventListener("beforeunload", (event) => {
  if (items.value.some((x) => ["making", "sending", "broken", "waiting"].includes(x.state))) event.preventDefault();
});
