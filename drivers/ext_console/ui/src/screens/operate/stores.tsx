/** Stores: up or not, what they take, how much they hold. */
import type { JSX } from "preact";
import { away } from "../../api/connection.ts";
import { session } from "../../api/session.ts";
import { stores } from "../../info.ts";
import { useQuery } from "../../query.ts";
import { t } from "../../text.ts";
import { Badge, Facts, Loading, Note, Screen, Section, Trouble } from "../../ui/parts.tsx";

export function Stores(): JSX.Element {
  const admin = session.value?.is_admin ?? false;
  const found = useQuery(`stores ${admin}`, () => stores(admin), 15_000);
  return (
    <Screen title={t("stores.title")} about={t("stores.about")}>
      {found.error && away.value === null && <Trouble error={found.error} retry={found.reload} />}
      {!found.data && found.loading && <Loading />}
      <div class="grid">
        {found.data?.map((x) => (
          <Section key={x.id} title={x.id}>
            {x.description && <p>{x.description}</p>}
            <p class="row">
              {x.available === "false" ? <Badge tone="bad">{t("store.away")}</Badge> : <Badge tone="good">{t("store.up")}</Badge>}
              {x.default === "true" && <Badge>{t("store.default")}</Badge>}
              {x["read-only"] === "true" && <Badge tone="warn">{t("store.readonly")}</Badge>}
            </p>
            {x["unavailable-because"] && <Note tone="bad">{x["unavailable-because"]}</Note>}
            <Facts rows={[x.type ? [t("store.type"), x.type] : undefined, x.weight !== undefined ? [t("store.weight"), String(x.weight)] : undefined]} />
          </Section>
        ))}
      </div>
    </Screen>
  );
}
