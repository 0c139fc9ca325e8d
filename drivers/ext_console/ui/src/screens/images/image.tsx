/** One image: everything about it, and what can be done with it. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { API, client, data } from "../../api/client.ts";
import { extension, session } from "../../api/session.ts";
import { away } from "../../api/connection.ts";
import { bytes, moment, parsed } from "../../format.ts";
import { usePermissions, type May } from "../../permissions.ts";
import { useQuery } from "../../query.ts";
import { t, tn } from "../../text.ts";
import { Badge, Button, Copyable, Empty, Facts, Loading, Note, Screen, Section, Status, Time, Trouble } from "../../ui/parts.tsx";
import { AddToFamily, Delete, Edit, SetActive } from "./actions.tsx";
import { Copies } from "./copies.tsx";
import { Members } from "./members.tsx";
import { age, busy, storesOf, type Image } from "./model.ts";
import { Properties } from "./properties.tsx";
import { Tags } from "./tags.tsx";
import { Tasks } from "./tasks.tsx";

type Open = "edit" | "delete" | "active" | "family" | "";

export function ImageScreen({ id = "" }: { id?: string }): JSX.Element {
  const found = useQuery(`image ${id}`, () => data(client.GET("/v2/images/{image_id}", { params: { path: { image_id: id } } })) as Promise<Image>,
    (image) => (image && busy(image) ? 2000 : 20_000));
  const may = usePermissions(id);
  const [open, setOpen] = useState<Open>("");
  const { route } = useLocation();
  const image = found.data;
  if (!image) {
    return (
      <Screen title={t("image.title")}>
        {found.error?.status === 404 ? (
          <Empty title={t("image.gone")} actions={<a href="/console/images">{t("action.to.images")}</a>}>
            <p>{t("image.gone.about")}</p>
          </Empty>
        ) : found.error && away.value === null ? (
          <Trouble error={found.error} retry={found.reload} />
        ) : (
          <Loading />
        )}
      </Screen>
    );
  }
  const close = (): void => setOpen("");
  const changed = (): void => found.reload();
  return (
    <Screen title={image.name || image.id} about={<a href="/console/images">{t("action.to.images")}</a>} actions={<Actions image={image} may={may} open={setOpen} />}>
      <Warnings image={image} />
      {found.error && away.value === null && <Trouble error={found.error} retry={found.reload} />}
      <div class="grid">
        <div class="stack">
          <About image={image} use={may("get_image_use")} />
          <Tags image={image} may={may} changed={changed} />
        </div>
        <div class="stack">
          <Tasks image={image} may={may} changed={changed} />
          <Copies image={image} may={may} changed={changed} />
          <Properties image={image} may={may} changed={changed} />
          {image.visibility === "shared" && <Members image={image} may={may} />}
        </div>
      </div>
      {open === "edit" && <Edit image={image} may={may} close={close} changed={changed} />}
      {open === "active" && <SetActive image={image} close={close} changed={changed} />}
      {open === "family" && <AddToFamily image={image} close={close} changed={changed} />}
      {open === "delete" && <Delete image={image} close={close} changed={() => route("/console/images")} />}
    </Screen>
  );
}

function Actions({ image, may, open }: { image: Image; may: May; open: (what: Open) => void }): JSX.Element {
  const mine = image.owner === (session.value?.project?.id ?? image.owner) || session.value?.is_admin;
  const turnable = image.status === "active" ? may("deactivate") : image.status === "deactivated" && may("reactivate");
  return (
    <>
      {image.status === "active" && may("download_image") && (
        <a class="button" href={`${API}/v2/images/${image.id}/file`} download={`${image.name || image.id}.${image.disk_format ?? "img"}`} target="_top">
          {t("action.download")}
        </a>
      )}
      {mine && may("modify_image") && <Button onClick={() => open("edit")}>{t("action.edit")}</Button>}
      {mine && extension("families") && !image.family && image.status === "active" && may("families_version") && (
        <Button onClick={() => open("family")}>{t("action.addtofamily")}</Button>
      )}
      {turnable && <Button onClick={() => open("active")}>{t(image.status === "active" ? "action.deactivate" : "action.reactivate")}</Button>}
      {mine && may("delete_image") && (
        <Button kind="danger" onClick={() => open("delete")}>
          {t("action.delete")}
        </Button>
      )}
    </>
  );
}

function Warnings({ image }: { image: Image }): JSX.Element {
  const old = age(image);
  return (
    <>
      {old !== "current" && (
        <Note tone="warn">
          <strong>{t(`version.${old}.means`)}</strong>
          {image.replacement && <p>{t("image.replacement", { reference: image.replacement })}</p>}
        </Note>
      )}
      {image.status === "deactivated" && <Note tone="warn">{t("status.deactivated.means")}</Note>}
      {image.status === "queued" && !image.os_glance_last_error && (
        <Note>
          {t("image.queued.about")} <a href="/console/upload">{t("action.upload")}</a>
        </Note>
      )}
      {image.os_glance_last_error && (
        <Note tone="bad" role="alert">
          <strong>{t("image.lasterror")}</strong>
          <p class="said">{image.os_glance_last_error}</p>
          <p>{t("image.lasterror.todo")}</p>
        </Note>
      )}
      {image.os_glance_failed_import && <Note tone="bad">{t("image.failedstores", { stores: image.os_glance_failed_import })}</Note>}
    </>
  );
}

function About({ image, use }: { image: Image; use: boolean }): JSX.Element {
  const used = useQuery(use ? `use ${image.id}` : null, async () => (await client.GET("/v2/images/{image_id}/use", { params: { path: { image_id: image.id } } })).data ?? null);
  const names = session.value?.projects.find((x) => x.id === image.owner)?.name;
  return (
    <Section title={t("image.about")}>
      <Facts
        rows={[
          [t("image.status"), <Status word={image.status} />],
          [t("image.id"), <Copyable text={image.id} />],
          [t("image.size"), image.size === null ? "–" : <span title={image.size.toLocaleString()}>{bytes(image.size)}</span>],
          [t("image.virtual_size"), bytes(image.virtual_size)],
          [t("image.disk_format"), image.disk_format ?? "–"],
          [t("image.container_format"), image.container_format ?? "–"],
          [t("image.visibility"), t(`visibility.${image.visibility}.means`)],
          [t("image.owner"), names && names !== image.owner ? `${names} (${image.owner})` : (image.owner ?? "–")],
          [t("image.protected"), image.protected ? t("image.protected.means") : t("no")],
          image.os_hidden && [t("image.hidden"), t("image.hidden.means")],
          [t("image.min_disk"), t("unit.gib", { n: image.min_disk })],
          [t("image.min_ram"), t("unit.mib", { n: image.min_ram })],
          [t("image.created_at"), <Time at={image.created_at} />],
          [t("image.updated_at"), <Time at={image.updated_at} />],
          used.data && [t("image.last_used_at"), used.data.last_used_at
            ? <span><Time at={used.data.last_used_at} /> {tn("image.used", used.data.use_count)}</span>
            : <span>{t("image.unused")} <Time at={used.data.counted_since} /></span>],
          image.family && [t("image.family"), <Badge tone="busy">{`${image.family}:${image.family_version}`}</Badge>],
          image.channel && [t("image.channel"), image.channel.split(",").map((x) => <Badge key={x} tone="busy">{x}</Badge>)],
          image.deprecated_at && [t("image.deprecated_at"), moment(parsed(image.deprecated_at))],
          image.obsolete_at && [t("image.obsolete_at"), moment(parsed(image.obsolete_at))],
          image.ends_at && [t("image.ends_at"), moment(parsed(image.ends_at))],
          image.checksum && [t("image.checksum"), <Copyable short text={image.checksum} />],
          image.os_hash_value && [image.os_hash_algo?.toUpperCase() ?? "", <Copyable short text={image.os_hash_value} />],
          [t("image.copies"), String(storesOf(image).length)],
        ]}
      />
    </Section>
  );
}
