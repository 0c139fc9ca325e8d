/** Small parts that every screen is made of. */
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { ApiError } from "../api/errors.ts";
import { ago, bytes, moment, parsed, percent } from "../format.ts";
import { has, t, tw, type Key } from "../text.ts";
import { written } from "./unseen.ts";

export type Tone = "plain" | "good" | "warn" | "bad" | "busy";

type ButtonProps = Omit<JSX.HTMLAttributes<HTMLButtonElement>, "icon"> & { kind?: "plain" | "main" | "danger" | "quiet"; busy?: boolean; disabled?: boolean; type?: "button" | "submit" };

export function Button({ kind = "plain", busy = false, type = "button", disabled, children, ...more }: ButtonProps): JSX.Element {
  return (
    <button type={type} class={`button ${kind}`} disabled={disabled || busy} aria-busy={busy} {...more}>
      {children}
    </button>
  );
}

export function Badge({ tone = "plain", children, title }: { tone?: Tone; children: ComponentChildren; title?: string }): JSX.Element {
  return (
    <span class={`badge ${tone}`} title={title}>
      {children}
    </span>
  );
}

/** "3 hours ago", with the date for who points at it; it grows older by itself. */
export function Time({ at }: { at: string | null | undefined }): JSX.Element {
  const [, setTurn] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setTurn((x) => x + 1), 30_000);
    return () => clearInterval(timer);
  }, []);
  if (!at) return <span class="muted">–</span>;
  const date = parsed(at);
  return (
    <time dateTime={date.toISOString()} title={moment(date)}>
      {ago(date)}
    </time>
  );
}

export function Progress({ done, total, label }: { done: number; total: number | null; label: string }): JSX.Element {
  const known = total !== null && total > 0;
  return (
    <span class="progress">
      <progress aria-label={label} max={100} {...(known ? { value: percent(done, total) } : {})} />
      <span>{known ? t("progress.of", { done: bytes(done), total: bytes(total), percent: percent(done, total) }) : bytes(done)}</span>
    </span>
  );
}

/** What happened, and what to do about it. */
export function Trouble({ error, retry, title }: { error: ApiError; retry?: () => void; title?: string }): JSX.Element {
  const status = error.status;
  const todo = [`todo.${error.code}`, `todo.${status}`, status >= 500 ? "todo.5xx" : "todo.4xx"].find(has) as Key;
  return (
    <div class="note bad" role="alert">
      <strong>{title ?? t(status === 0 ? "trouble.away" : status < 0 ? "trouble.page" : "trouble.refused")}</strong>
      {error.message && <p class="said">{error.message}</p>}
      <p>{t(todo, { seconds: error.retryAfter ?? 10 })}</p>
      {error.requestId && status >= 500 && <p class="muted">{t("trouble.request", { id: error.requestId })}</p>}
      {retry && <Button onClick={retry}>{t("action.again")}</Button>}
    </div>
  );
}

export function Note({ tone = "plain", children, role }: { tone?: Tone; children: ComponentChildren; role?: "status" | "alert" }): JSX.Element {
  return (
    <div class={`note ${tone}`} {...(role ? { role } : {})}>
      {children}
    </div>
  );
}

export function Empty({ title, children, actions }: { title: string; children?: ComponentChildren; actions?: ComponentChildren }): JSX.Element {
  return (
    <div class="empty">
      <h2>{title}</h2>
      {children}
      {actions && <p class="row">{actions}</p>}
    </div>
  );
}

export function Loading({ label = t("loading") }: { label?: string }): JSX.Element {
  return (
    <p class="loading" role="status">
      <span class="spinner" aria-hidden="true" />
      {label}
    </p>
  );
}

let opened = false;

/** A screen: its heading gets the focus when it opens in place of another one, so that a screen reader says where one is. */
export function Screen({ title, about, actions, children }: { title: string; about?: ComponentChildren; actions?: ComponentChildren; children: ComponentChildren }): JSX.Element {
  const heading = useRef<HTMLHeadingElement>(null);
  const first = useRef(true);
  useEffect(() => {
    document.title = written(t("page.title", { title }));
    if (first.current && opened) heading.current?.focus({ preventScroll: true });
    first.current = false;
    opened = true;
  }, [title]);
  return (
    <>
      <header class="screen">
        <div>
          <h1 ref={heading} tabIndex={-1}>
            {title}
          </h1>
          {about && <p class="muted">{about}</p>}
        </div>
        {actions && <div class="row">{actions}</div>}
      </header>
      {children}
    </>
  );
}

export function Section({ title, actions, children, id }: { title: string; actions?: ComponentChildren; children: ComponentChildren; id?: string }): JSX.Element {
  return (
    <section class="card" aria-label={title} {...(id ? { id } : {})}>
      <header>
        <h2>{title}</h2>
        {actions && <div class="row">{actions}</div>}
      </header>
      {children}
    </section>
  );
}

/** Names and what they are. Rows of undefined are left out. */
export function Facts({ rows }: { rows: ([string, ComponentChildren] | undefined | null | false | "")[] }): JSX.Element {
  return (
    <dl class="facts">
      {rows.filter((x): x is [string, ComponentChildren] => Boolean(x)).map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/** A short text that one wants to have: an id, a digest. */
export function Copyable({ text, short }: { text: string; short?: boolean }): JSX.Element {
  const [copied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
      setCopied(true);
      setTimeout(() => setCopied(false), 2000);
    } catch {
      setCopied(false); // not allowed here: the text can be selected
    }
  };
  return (
    <span class="copyable">
      <code class={short ? "cut" : ""}>{text}</code>
      {navigator.clipboard && (
        <button type="button" class="button quiet small" onClick={copy} aria-label={t("action.copy.what", { what: text })}>
          {t(copied ? "action.copied" : "action.copy")}
        </button>
      )}
    </span>
  );
}

const STATUS_TONE: Record<string, Tone> = { active: "good", queued: "plain", saving: "busy", uploading: "busy", importing: "busy", deactivated: "warn", killed: "bad",
  pending_delete: "warn", success: "good", failure: "bad", processing: "busy", pending: "plain", accepted: "good", rejected: "bad", current: "good", deprecated: "warn",
  obsolete: "bad", ended: "bad" };

/** A word of the service for the state of something, as people read it, with what it means. */
export function Status({ word, kind = "status" }: { word: string; kind?: string }): JSX.Element {
  const meaning = `${kind}.${word}.means`;
  return (
    <Badge tone={STATUS_TONE[word] ?? "plain"} {...(has(meaning) ? { title: t(meaning) } : {})}>
      {tw(kind, word)}
    </Badge>
  );
}
