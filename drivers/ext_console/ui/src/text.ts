/** Every text that people read is in texts/en.json: one file for who translates. A key with `_one` and `_other` is chosen by a number. */
import english from "./texts/en.json" with { type: "json" };

export type Key = keyof typeof english;
type Counted = Key extends infer K ? (K extends `${infer Base}_other` ? Base : never) : never;
export type Values = Readonly<Record<string, string | number>>;

const texts: Readonly<Record<string, string>> = english;
export const locale: string = globalThis.navigator?.language || "en";
const plural = new Intl.PluralRules("en");

/** The text of `key`, with `{name}` replaced by the value of that name. */
export function t(key: Key, values: Values = {}): string {
  return filled(texts[key] ?? key, values);
}

/** One of `key_one`, `key_other`, by `n`; `{n}` is the number as people write it. */
export function tn(key: Counted, n: number, values: Values = {}): string {
  return filled(texts[`${key}_${plural.select(n)}`] ?? texts[`${key}_other`] ?? key, { n: n.toLocaleString(locale), ...values });
}

/** The text of `prefix.word` for a word that the service chose, and the word itself where there is none: it may be newer than this page. */
export function tw(prefix: string, word: string): string {
  return texts[`${prefix}.${word}`] ?? word;
}

export function has(key: string): key is Key {
  return key in texts;
}

function filled(text: string, values: Values): string {
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => (name in values ? String(values[name]) : whole));
}
