/** What the project uses of what it may. */
import type { JSX } from "preact";
import { client, data } from "../api/client.ts";
import { away } from "../api/connection.ts";
import { session } from "../api/session.ts";
import { bytes, count, percent } from "../format.ts";
import { usePermissions } from "../permissions.ts";
import { useQuery } from "../query.ts";
import { has, t, type Key } from "../text.ts";
import { Empty, Loading, Screen, Section, Trouble } from "../ui/parts.tsx";
import { Quotas } from "./quotas.tsx";

type Usage = Record<string, { usage: number; limit: number }>;

export function UsageScreen(): JSX.Element {
  const found = useQuery("usage", async () => ((await data(client.GET("/v2/info/usage", {}))) as { usage: Usage }).usage, 15_000);
  const may = usePermissions();
  const rows = Object.entries(found.data ?? {});
  return (
    <Screen title={t("usage.title")} about={session.value?.project ? t("usage.of", { project: session.value.project.name }) : undefined}>
      {found.error && away.value === null && <Trouble error={found.error} retry={found.reload} />}
      {!found.data && found.loading && <Loading />}
      {found.data && !rows.length && (
        <Empty title={t("usage.none")}>
          <p>{t("usage.none.about")}</p>
        </Empty>
      )}
      <div class="grid">
        {rows.map(([name, x]) => (
          <One key={name} name={name} usage={x.usage} limit={x.limit} />
        ))}
      </div>
      {session.value?.is_admin && may("get_quotas") && <Quotas mayChange={may("modify_quotas")} />}
    </Screen>
  );
}

/** Sizes are told in MiB, as Keystone's limits count them. */
export function amount(name: string, value: number): string {
  return name.endsWith("size_total") || name === "image_stage_total" ? bytes(value * 2 ** 20) : count(value);
}

function One({ name, usage, limit }: { name: string; usage: number; limit: number }): JSX.Element {
  const title = has(`usage.${name}`) ? t(`usage.${name}` as Key) : name;
  const limited = limit >= 0;
  const part = limited ? percent(usage, limit) : 0;
  return (
    <Section title={title}>
      <p class="big">{limited ? t("usage.value", { used: amount(name, usage), limit: amount(name, limit) }) : amount(name, usage)}</p>
      {limited ? (
        <>
          <meter aria-label={title} min={0} max={Math.max(limit, 1)} high={limit * 0.8} optimum={0} value={Math.min(usage, limit)} />
          <p class="muted">{part >= 100 ? t("usage.full") : t("usage.left", { left: amount(name, limit - usage), percent: part })}</p>
        </>
      ) : (
        <p class="muted">{t("usage.unlimited")}</p>
      )}
    </Section>
  );
}
