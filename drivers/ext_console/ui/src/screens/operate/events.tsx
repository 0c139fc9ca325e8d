import type { JSX } from "preact";
import { useQuery } from "../../query.ts";
import { t } from "../../text.ts";
import { Empty, Loading, Screen, Trouble } from "../../ui/parts.tsx";
import { operated } from "./offered.ts";

export function Events(): JSX.Element {
  const found = useQuery("events", () => operated<unknown>("events"), 10_000);
  return (
    <Screen title={t("events.title")} about={t("events.about")}>
      {found.error && <Trouble error={found.error} retry={found.reload} />}
      {found.data === undefined && found.loading && <Loading />}
      {found.data === null && <Empty title={t("operate.none")} />}
      {found.data ? <pre>{JSON.stringify(found.data, null, 1)}</pre> : null}
    </Screen>
  );
}
