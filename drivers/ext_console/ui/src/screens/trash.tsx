/** Deleted images that can be had back. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { client, data, raw } from "../api/client.ts";
import type { paths } from "../api/schema.d.ts";
import { away } from "../api/connection.ts";
import { bytes } from "../format.ts";
import { usePermissions } from "../permissions.ts";
import { useQuery } from "../query.ts";
import { t } from "../text.ts";
import { Confirm } from "../ui/forms.tsx";
import { Button, Empty, Loading, Screen, Time, Trouble } from "../ui/parts.tsx";
import { say } from "../ui/toasts.tsx";

type Page = paths["/trash"]["get"]["responses"][200]["content"]["application/json"];
type Deleted = Page["images"][number];

export function Trash(): JSX.Element {
  const found = useQuery("trash", () => raw<Page>("/trash"), 30_000);
  const [older, setOlder] = useState<Page | null>(null);
  const [restoring, setRestoring] = useState<Deleted | null>(null);
  const [purging, setPurging] = useState<Deleted | null>(null);
  const may = usePermissions();
  const rows = [...(found.data?.images ?? []), ...(older?.images ?? [])];
  const next = older ? older.next : found.data?.next;
  const name = (x: Deleted): string => x.name || x.id;
  const again = (): void => {
    setOlder(null);
    found.reload();
  };
  return (
    <Screen title={t("trash.title")} about={t("trash.about")}>
      {found.error && away.value === null && <Trouble error={found.error} retry={found.reload} />}
      {!found.data && found.loading && <Loading />}
      {found.data && !rows.length && (
        <Empty title={t("trash.none")}>
          <p>{t("trash.none.about")}</p>
        </Empty>
      )}
      {rows.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label={t("table.of", { what: t("trash.title") })}>
          <table class="plain">
            <thead>
              <tr>
                <th scope="col">{t("image.name")}</th>
                <th scope="col">{t("image.size")}</th>
                <th scope="col">{t("trash.deleted")}</th>
                <th scope="col">{t("trash.by")}</th>
                <th scope="col">{t("trash.goes")}</th>
                <th scope="col">{t("actions")}</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((x) => (
                <tr key={x.id}>
                  <td class="long">{name(x)}</td>
                  <td>{bytes(x.size)}</td>
                  <td>
                    <Time at={x.deleted_at} />
                  </td>
                  <td>{(x.deleted_by as { user?: string } | null)?.user ?? "–"}</td>
                  <td>
                    <Time at={x.goes_at} />
                  </td>
                  <td>
                    <div class="row">
                      {may("trash_restore") && <Button onClick={() => setRestoring(x)}>{t("action.untrash")}</Button>}
                      {may("trash_purge") && <Button kind="quiet" onClick={() => setPurging(x)}>{t("action.purge")}</Button>}
                    </div>
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {next && (
        <Button onClick={async () => {
          const page = await raw<Page>(next);
          setOlder({ ...page, images: [...(older?.images ?? []), ...page.images] });
        }}>
          {t("action.more")}
        </Button>
      )}
      {restoring && (
        <Confirm title={t("untrash.title", { name: name(restoring) })} effects={[t("untrash.effect")]} action={t("action.untrash")} close={() => setRestoring(null)} act={async () => {
          await data(client.POST("/trash/{image_id}/actions/restore", { params: { path: { image_id: restoring.id } } }));
          say(t("done.untrashed", { name: name(restoring) }));
          again();
        }} />
      )}
      {purging && (
        <Confirm title={t("purge.title", { name: name(purging) })} effects={[t("purge.effect")]} action={t("action.purge")} danger close={() => setPurging(null)} act={async () => {
          await data(client.DELETE("/trash/{image_id}", { params: { path: { image_id: purging.id } } }));
          again();
        }} />
      )}
    </Screen>
  );
}
