/** One family: where its channels point, and its versions. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { client, data, raw } from "../../api/client.ts";
import { away } from "../../api/connection.ts";
import { session } from "../../api/session.ts";
import { usePermissions } from "../../permissions.ts";
import { useQuery } from "../../query.ts";
import { t } from "../../text.ts";
import { Confirm } from "../../ui/forms.tsx";
import { Badge, Button, Copyable, Empty, Facts, Loading, Screen, Section, Status, Time, Trouble } from "../../ui/parts.tsx";
import { say } from "../../ui/toasts.tsx";
import { Channels } from "./channels.tsx";
import { Deprecate, EditFamily } from "./dialogs.tsx";
import type { Channel, Family, Version } from "./model.ts";

export interface Whole {
  family: Family;
  versions: Version[];
  /** Versions that are shown; there are more. */
  next: string | null;
  channels: Channel[];
}

async function load(id: string): Promise<Whole> {
  const params = { params: { path: { family_id: id } } };
  const [family, versions, channels] = await Promise.all([
    data(client.GET("/families/{family_id}", params)),
    data(client.GET("/families/{family_id}/versions", params)),
    data(client.GET("/families/{family_id}/channels", params)),
  ]);
  return { family, versions: versions.versions, next: versions.next ?? null, channels: channels.channels };
}

export function FamilyScreen({ id = "" }: { id?: string }): JSX.Element {
  const found = useQuery(`family ${id}`, () => load(id));
  const may = usePermissions();
  const { route } = useLocation();
  const [open, setOpen] = useState<"edit" | "delete" | "">("");
  if (!found.data) {
    return (
      <Screen title={t("family.title")}>
        {found.error?.status === 404 ? (
          <Empty title={t("family.gone")} actions={<a href="/console/families">{t("nav.families")}</a>} />
        ) : found.error && away.value === null ? (
          <Trouble error={found.error} retry={found.reload} />
        ) : (
          <Loading />
        )}
      </Screen>
    );
  }
  const { family } = found.data;
  const mine = family.owner === (session.value?.project?.id ?? null) || session.value?.is_admin === true;
  return (
    <Screen title={family.name} about={family.description || <a href="/console/families">{t("nav.families")}</a>} actions={mine && may("families_change") && (
      <>
        <Button onClick={() => setOpen("edit")}>{t("action.edit")}</Button>
        <Button kind="danger" onClick={() => setOpen("delete")}>
          {t("action.delete")}
        </Button>
      </>
    )}>
      {found.error && away.value === null && <Trouble error={found.error} retry={found.reload} />}
      <Channels whole={found.data} mayMove={mine && may("families_move")} mayInspect={mine && may("families_inspect")} changed={found.reload} />
      <Versions whole={found.data} may={mine && may("families_version")} mayMove={mine && may("families_move")} changed={found.reload} />
      <Section title={t("family.use")}>
        <p>{t("family.use.about")}</p>
        <Facts
          rows={[
            [t("family.use.default"), <Copyable text={family.name} />],
            [t("family.use.latest"), <Copyable text={`${family.name}@latest`} />],
            ...found.data.channels.filter((x) => x.name !== "latest").map((x): [string, JSX.Element] => [t("family.use.channel", { channel: x.name }), <Copyable text={`${family.name}@${x.name}`} />]),
          ]}
        />
      </Section>
      {open === "edit" && <EditFamily whole={found.data} mayPublish={may("families_publish")} close={() => setOpen("")} changed={found.reload} />}
      {open === "delete" && (
        <Confirm title={t("family.delete.title", { name: family.name })} effects={[t("family.delete.references"), t("family.delete.images")]} action={t("action.delete")} danger
          close={() => setOpen("")} act={async () => {
            await data(client.DELETE("/families/{family_id}", { params: { path: { family_id: family.id } } }));
            say(t("done.deleted", { name: family.name }));
            route("/console/families");
          }} />
      )}
    </Screen>
  );
}

function Versions({ whole, may, mayMove, changed }: { whole: Whole; may: boolean; mayMove: boolean; changed: () => void }): JSX.Element {
  const [more, setMore] = useState<{ rows: Version[]; next: string | null } | null>(null);
  const [dating, setDating] = useState<Version | null>(null);
  const [restoring, setRestoring] = useState<Version | null>(null);
  const [leaving, setLeaving] = useState<Version | null>(null);
  const rows = [...whole.versions, ...(more?.rows ?? [])];
  const next = more ? more.next : whole.next;
  const path = (label: string): { family_id: string; label: string } => ({ family_id: whole.family.id, label });
  return (
    <Section title={t("versions.title")}>
      {!rows.length && <p class="muted">{t("versions.none")}</p>}
      {rows.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label={t("table.of", { what: t("versions.title") })}>
          <table class="plain">
            <thead>
              <tr>
                <th scope="col">{t("version.label")}</th>
                <th scope="col">{t("version.state")}</th>
                <th scope="col">{t("version.channels")}</th>
                <th scope="col">{t("image.created_at")}</th>
                <th scope="col">{t("actions")}</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((x) => (
                <tr key={x.label}>
                  <td>
                    <a href={`/console/images/${x.image_id}`}>{x.label}</a>
                    {!x.latest && <span class="muted"> {t("version.notlatest")}</span>}
                  </td>
                  <td>
                    <Status word={x.state} kind="version" />
                    {x.reason && <p class="muted">{x.reason}</p>}
                  </td>
                  <td>{whole.channels.filter((each) => each.label === x.label).map((each) => <Badge key={each.name} tone="busy">{each.name}</Badge>)}</td>
                  <td>
                    <Time at={x.created_at} />
                  </td>
                  <td>
                    <div class="row">
                      {mayMove && x.state === "current" && <Button onClick={() => setDating(x)}>{t("action.deprecate")}</Button>}
                      {mayMove && (x.state !== "current" || x.deprecated_at) && <Button onClick={() => setRestoring(x)}>{t("action.restore")}</Button>}
                      {may && <Button kind="quiet" onClick={() => setLeaving(x)}>{t("action.version.remove")}</Button>}
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
          const page = await raw<{ versions: Version[]; next?: string }>(next);
          setMore({ rows: [...(more?.rows ?? []), ...page.versions], next: page.next ?? null });
        }}>
          {t("action.more")}
        </Button>
      )}
      {dating && <Deprecate whole={whole} version={dating} close={() => setDating(null)} changed={changed} />}
      {restoring && (
        <Confirm title={t("restore.title", { label: restoring.label })} effects={[t("restore.effect")]} action={t("action.restore")} reason close={() => setRestoring(null)} act={async (reason) => {
          await data(client.POST("/families/{family_id}/versions/{label}/actions/restore", { params: { path: path(restoring.label) }, body: reason ? { reason } : {} }));
          say(t("done.restored", { label: restoring.label }));
          changed();
        }} />
      )}
      {leaving && (
        <Confirm title={t("version.remove.title", { label: leaving.label })} effects={[t("version.remove.effect"), t("version.remove.image"), t("version.remove.label")]} danger
          action={t("action.version.remove")} close={() => setLeaving(null)} act={async () => {
            await data(client.DELETE("/families/{family_id}/versions/{label}", { params: { path: path(leaving.label) } }));
            changed();
          }} />
      )}
    </Section>
  );
}
