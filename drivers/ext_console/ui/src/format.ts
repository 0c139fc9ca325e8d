/** Numbers and times as people read them, in the language of the browser. */
import { locale } from "./text.ts";

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const number = new Intl.NumberFormat(locale, { maximumFractionDigits: 1 });
const relative = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });
const absolute = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short" });
const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [["year", 31_557_600], ["month", 2_629_800], ["week", 604_800], ["day", 86_400], ["hour", 3_600], ["minute", 60]];

/** 1536 → "1.5 KiB". */
export function bytes(count: number | null | undefined): string {
  if (count == null) return "–";
  let unit = 0;
  let value = count;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${number.format(value)} ${UNITS[unit]}`;
}

export function count(value: number): string {
  return value.toLocaleString(locale);
}

/** Whole percents, never 100 before the end. */
export function percent(done: number, total: number): number {
  if (total <= 0) return 100;
  return done >= total ? 100 : Math.floor((done / total) * 100);
}

/** A time of the service. Some of its answers have no zone: they are UTC as well. */
export function parsed(time: string): Date {
  return new Date(/(Z|[+-]\d\d:?\d\d)$/.test(time) ? time : `${time}Z`);
}

/** "3 hours ago", "in 2 days". */
export function ago(time: Date, now: number = Date.now()): string {
  const seconds = (time.getTime() - now) / 1000;
  for (const [unit, length] of STEPS) {
    if (Math.abs(seconds) >= length) return relative.format(Math.trunc(seconds / length), unit);
  }
  return relative.format(Math.trunc(seconds / 5) * 5, "second");
}

export function moment(time: Date): string {
  return absolute.format(time);
}

/** 5400 → "1.5 hours". */
export function span(seconds: number): string {
  const [unit, length] = ([["day", 86_400], ["hour", 3_600], ["minute", 60]] as const).find(([, x]) => seconds >= x) ?? (["second", 1] as const);
  return new Intl.NumberFormat(locale, { style: "unit", unit, unitDisplay: "long", maximumFractionDigits: 1 }).format(seconds / length);
}

/** 75 → "1:15"; 3700 → "1:01:40". */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const parts = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  if (!parts[0]) parts.shift();
  return parts.map((x, i) => (i ? String(x).padStart(2, "0") : String(x))).join(":");
}
