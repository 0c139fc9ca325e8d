/** Dialogs that say what an action will do to an image, and do it. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { client, data } from "../../api/client.ts";
import { extension } from "../../api/session.ts";
import type { May } from "../../permissions.ts";
import { useAction, useQuery } from "../../query.ts";
import { t } from "../../text.ts";
import { Check, Choice, Confirm, Dialog, Text } from "../../ui/forms.tsx";
import { Button, Trouble } from "../../ui/parts.tsx";
import { say } from "../../ui/toasts.tsx";
import type { Image } from "./model.ts";
import { patch, type Change } from "./patch.ts";

interface Common {
  image: Image;
  close: () => void;
  changed: () => void;
}

function called(image: Image): string {
  return image.name || image.id;
}

export function Delete({ image, close, changed }: Common): JSX.Element {
  const kept = extension("trash") && image.status !== "queued";
  const effects = [t(kept ? "delete.trash" : "delete.data"), t("delete.running"), ...(image.channel ? [t("delete.channel", { channels: image.channel })] : []),
    ...(image.protected ? [t("delete.protected")] : [])];
  const act = async (): Promise<void> => {
    await data(client.DELETE("/v2/images/{image_id}", { params: { path: { image_id: image.id } } }));
    say(t("done.deleted", { name: called(image) }));
    changed();
  };
  return <Confirm title={t("delete.title", { name: called(image) })} effects={effects} action={t("action.delete")} danger act={act} close={close} />;
}

export function SetActive({ image, close, changed }: Common): JSX.Element {
  const off = image.status === "active";
  const act = async (): Promise<void> => {
    const params = { params: { path: { image_id: image.id } } };
    await data(off ? client.POST("/v2/images/{image_id}/actions/deactivate", params) : client.POST("/v2/images/{image_id}/actions/reactivate", params));
    say(t(off ? "done.deactivated" : "done.reactivated", { name: called(image) }));
    changed();
  };
  const effects = off ? [t("deactivate.download"), t("deactivate.back")] : [t("reactivate.download")];
  return <Confirm title={t(off ? "deactivate.title" : "reactivate.title", { name: called(image) })} effects={effects} action={t(off ? "action.deactivate" : "action.reactivate")} act={act} close={close} />;
}

const VISIBILITIES = ["private", "shared", "community", "public"] as const;
const NEEDS: Record<string, string> = { public: "publicize_image", community: "communitize_image" };

export function Edit({ image, may, close, changed }: Common & { may: May }): JSX.Element {
  const [values, setValues] = useState({ name: image.name ?? "", visibility: image.visibility, min_disk: String(image.min_disk), min_ram: String(image.min_ram),
    protected: image.protected, os_hidden: image.os_hidden });
  const saving = useAction(async () => {
    const wanted = { ...values, name: values.name || null, min_disk: Number(values.min_disk), min_ram: Number(values.min_ram) };
    const changes = Object.entries(wanted).filter(([name, value]) => image[name as keyof Image] !== value)
      .map(([name, value]): Change => ({ op: "replace", path: `/${name}`, value }));
    if (changes.length) await patch(image.id, changes);
    say(t("done.saved"));
    changed();
    close();
  });
  const set = <K extends keyof typeof values>(name: K) => (value: (typeof values)[K]) => setValues({ ...values, [name]: value });
  const visible = VISIBILITIES.filter((x) => x === image.visibility || !NEEDS[x] || may(NEEDS[x]));
  return (
    <Dialog title={t("edit.title", { name: called(image) })} close={close}>
      <form onSubmit={(e) => (e.preventDefault(), void saving.run())}>
        <Text label={t("image.name")} value={values.name} onInput={set("name")} help={t("image.name.help")} maxLength={255} />
        <Choice label={t("image.visibility")} value={values.visibility} onInput={(x) => set("visibility")(x as Image["visibility"])}
          options={visible.map((x) => [x, t(`visibility.${x}.means`)])} />
        <Text label={t("image.min_disk.gib")} type="number" value={values.min_disk} onInput={set("min_disk")} />
        <Text label={t("image.min_ram.mib")} type="number" value={values.min_ram} onInput={set("min_ram")} />
        <Check label={t("image.protected")} checked={values.protected} onInput={set("protected")} help={t("image.protected.means")} />
        <Check label={t("image.hidden")} checked={values.os_hidden} onInput={set("os_hidden")} help={t("image.hidden.means")} />
        {saving.error && <Trouble error={saving.error} />}
        <p class="row end">
          <Button onClick={close}>{t("action.leave")}</Button>
          <Button type="submit" kind="main" busy={saving.busy}>
            {t("action.save")}
          </Button>
        </p>
      </form>
    </Dialog>
  );
}

/** A label that says when: 20260201. */
function today(): string {
  return new Date().toISOString().slice(0, 10).replaceAll("-", "");
}

export function AddToFamily({ image, close, changed }: Common): JSX.Element {
  const families = useQuery("families", () => data(client.GET("/families", {})));
  const own = families.data?.families.filter((x) => x.owner === image.owner) ?? [];
  const [family, setFamily] = useState("");
  const [label, setLabel] = useState(today());
  const [latest, setLatest] = useState(true);
  const chosen = family || own[0]?.id || "";
  const adding = useAction(async () => {
    await data(client.PUT("/families/{family_id}/versions/{label}", { params: { path: { family_id: chosen, label } }, body: { image_id: image.id, latest } }));
    say(t("done.versioned", { label }));
    changed();
    close();
  });
  return (
    <Dialog title={t("addtofamily.title", { name: called(image) })} close={close}>
      <form onSubmit={(e) => (e.preventDefault(), void adding.run())}>
        <p>{t("addtofamily.about")}</p>
        {families.data && !own.length ? (
          <p>
            {t("addtofamily.none")} <a href="/console/families">{t("nav.families")}</a>
          </p>
        ) : (
          <>
            <Choice label={t("image.family")} value={chosen} onInput={setFamily} options={own.map((x) => [x.id, x.name])} />
            <Text label={t("version.label")} value={label} onInput={setLabel} required help={t("version.label.help")} maxLength={64} />
            <Check label={t("version.latest")} checked={latest} onInput={setLatest} help={t("version.latest.help")} />
          </>
        )}
        {families.error && <Trouble error={families.error} retry={families.reload} />}
        {adding.error && <Trouble error={adding.error} />}
        <p class="row end">
          <Button onClick={close}>{t("action.leave")}</Button>
          <Button type="submit" kind="main" busy={adding.busy} disabled={!chosen}>
            {t("action.addtofamily")}
          </Button>
        </p>
      </form>
    </Dialog>
  );
}
