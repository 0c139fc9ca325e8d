/** Screens that are loaded when they are first wanted, or when nothing else is to be done: then they are there while the service is away. */
import { effect } from "@preact/signals";
import { lazy } from "preact-iso";
import type { ComponentType } from "preact";
import { away, lost } from "../api/connection.ts";
import { kept, keptValue } from "../ui/theme.ts";

/** Milliseconds within which the page is not loaded anew a second time. */
const PATIENCE = 60_000;
const KEY = "glancecore-loaded-anew";
const all: (() => Promise<unknown>)[] = [];

export function screen<P>(load: () => Promise<ComponentType<P>>): ReturnType<typeof lazy<ComponentType<P>>> {
  all.push(load);
  return lazy(async () => ({ default: await sure(load) }));
}

export function loadTheOthers(): void {
  const soon = globalThis.requestIdleCallback ?? ((run: () => void) => setTimeout(run, 2000));
  soon(async () => {
    for (const load of all) await load().catch(() => undefined); // it is asked for again when it is wanted
  });
}

async function sure<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch {
    lost();
  }
  await back();
  try {
    return await load();
  } catch (error) {
    // the service has other pages now than this one
    if (Date.now() - Number(keptValue(KEY)) < PATIENCE) throw error;
    kept(KEY, String(Date.now()));
    location.reload();
    return new Promise(() => undefined);
  }
}

function back(): Promise<void> {
  return new Promise((done) => {
    const stop = effect(() => {
      if (away.value !== null) return;
      done();
      queueMicrotask(() => stop());
    });
  });
}
