/** What has happened lately, the newest first. */
import { useLocation } from "preact-iso";
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { away } from "../../api/connection.ts";
import { useQuery } from "../../query.ts";
import { t } from "../../text.ts";
import { Choice, Text } from "../../ui/forms.tsx";
import { Button, Empty, Loading, Screen, Time, Trouble } from "../../ui/parts.tsx";
import { operated } from "./offered.ts";

interface Event {
  id: string;
  at: string;
  type: string;
  subject: string;
  user: string | null;
  project: string | null;
  address: string | null;
  request_id: string | null;
  about: Record<string, unknown>;
}

const BY = ["subject", "type", "project"] as const;

export function Events(): JSX.Element {
  const { query, route, path } = useLocation();
  const by = BY.find((x) => query[x]) ?? "type";
  const given = query[by] ?? "";
  const [kind, setKind] = useState<string>(by);
  const [value, setValue] = useState(given);
  const filter = given ? `&${by}=${encodeURIComponent(given)}` : "";
  const found = useQuery(`events ${filter}`, () => operated<{ events: Event[]; next: string | null }>("events", `?limit=100${filter}`), 10_000);
  const [older, setOlder] = useState<{ of: string; rows: Event[]; next: string | null }>({ of: "", rows: [], next: null });
  const more = older.of === filter ? older : null;
  const rows = [...(found.data?.events ?? []), ...(more?.rows ?? [])].filter((x, i, all) => all.findIndex((each) => each.id === x.id) === i);
  const next = more ? more.next : found.data?.next;
  return (
    <Screen title={t("events.title")} about={t("events.about")}>
      <form class="filters" role="search" aria-label={t("events.filter")} onSubmit={(e) => (e.preventDefault(), route(value ? `${path}?${kind}=${encodeURIComponent(value.trim())}` : path))}>
        <Choice label={t("events.by")} value={kind} onInput={setKind} options={BY.map((x) => [x, t(`events.by.${x}`)])} />
        <Text label={t("events.value")} value={value} onInput={setValue} placeholder={kind === "type" ? "image.delete" : ""} />
        <div class="row">
          <Button type="submit">{t("action.filter")}</Button>
        </div>
      </form>
      {found.error && away.value === null && <Trouble error={found.error} retry={found.reload} />}
      {found.data === undefined && found.loading && <Loading />}
      {found.data === null && <Empty title={t("operate.none")} />}
      {found.data && !rows.length && (
        <Empty title={t("events.none")}>
          <p>{t("events.none.about")}</p>
        </Empty>
      )}
      {rows.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label={t("table.of", { what: t("events.title") })}>
          <table class="plain">
            <thead>
              <tr>
                <th scope="col">{t("event.at")}</th>
                <th scope="col">{t("event.type")}</th>
                <th scope="col">{t("event.subject")}</th>
                <th scope="col">{t("event.who")}</th>
                <th scope="col">{t("event.about")}</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((x) => (
                <tr key={x.id}>
                  <td>
                    <Time at={x.at} />
                  </td>
                  <td>
                    <a href={`/console/events?type=${x.type}`}>{x.type}</a>
                  </td>
                  <td class="long">{x.type.startsWith("image.") ? <a href={`/console/images/${x.subject}`}>{(x.about.name as string) || x.subject}</a> : x.subject}</td>
                  <td class="long" title={[x.address, x.request_id].filter(Boolean).join(" ")}>
                    {[x.user, x.project].filter(Boolean).join(" · ") || x.address || t("event.service")}
                  </td>
                  <td class="long">{about(x)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {next && (
        <Button onClick={async () => {
          const page = await operated<{ events: Event[]; next: string | null }>("events", `?limit=100${filter}&marker=${encodeURIComponent(next)}`);
          setOlder({ of: filter, rows: [...(more?.rows ?? []), ...(page?.events ?? [])], next: page?.next ?? null });
        }}>
          {t("action.more")}
        </Button>
      )}
    </Screen>
  );
}

function about(event: Event): string {
  return Object.entries(event.about).filter(([name, value]) => name !== "name" && value !== "" && value !== null).map(([name, value]) => `${name}: ${String(value)}`).join(", ");
}
