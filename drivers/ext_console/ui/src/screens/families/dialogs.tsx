import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { client, data } from "../../api/client.ts";
import { useAction } from "../../query.ts";
import { t } from "../../text.ts";
import { Check, Choice, Confirm, Dialog, Text } from "../../ui/forms.tsx";
import { Button, Trouble } from "../../ui/parts.tsx";
import { say } from "../../ui/toasts.tsx";
import type { Whole } from "./family.tsx";
import type { Version } from "./model.ts";

export function EditFamily({ whole, mayPublish, close, changed }: { whole: Whole; mayPublish: boolean; close: () => void; changed: () => void }): JSX.Element {
  const { family } = whole;
  const [values, setValues] = useState({ description: family.description, visibility: family.visibility, default: family.default ?? "latest" });
  const saving = useAction(async () => {
    const body = Object.fromEntries(Object.entries(values).filter(([name, value]) => value !== family[name as keyof typeof family]));
    if (Object.keys(body).length) await data(client.PATCH("/families/{family_id}", { params: { path: { family_id: family.id } }, body }));
    say(t("done.saved"));
    changed();
    close();
  });
  const channels = [...new Set(["latest", ...whole.channels.map((x) => x.name)])];
  return (
    <Dialog title={t("family.edit.title", { name: family.name })} close={close}>
      <form onSubmit={(e) => (e.preventDefault(), void saving.run())}>
        <Text label={t("family.description")} value={values.description} onInput={(x) => setValues({ ...values, description: x })} maxLength={2000} />
        <Choice label={t("family.default")} value={values.default} onInput={(x) => setValues({ ...values, default: x })} options={channels.map((x) => [x, x])}
          help={t("family.default.help", { name: family.name })} />
        <Choice label={t("image.visibility")} value={values.visibility} disabled={!mayPublish} onInput={(x) => setValues({ ...values, visibility: x as "private" })}
          options={[["private", t("family.own")], ["public", t("family.public")]]} {...(mayPublish ? {} : { help: t("family.public.who") })} />
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

/** Of a date field; the service wants the moment, in UTC. */
function midnight(day: string): string {
  return `${day}T00:00:00Z`;
}

export function Deprecate({ whole, version, close, changed }: { whole: Whole; version: Version; close: () => void; changed: () => void }): JSX.Element {
  const [values, setValues] = useState({ deprecated_at: "", obsolete_at: "", ends_at: "", replacement: "" });
  const [force, setForce] = useState(false);
  const channels = whole.channels.filter((x) => x.label === version.label && x.name !== "latest").map((x) => x.name);
  const set = (name: keyof typeof values) => (value: string) => setValues({ ...values, [name]: value });
  const effects = [values.deprecated_at ? t("deprecate.effect.later", { day: values.deprecated_at }) : t("deprecate.effect.now"), t("deprecate.effect.id"),
    ...(channels.length ? [t("deprecate.effect.channels", { channels: channels.join(", ") })] : [])];
  return (
    <Confirm title={t("deprecate.title", { label: version.label })} effects={effects} action={t("action.deprecate")} reason close={close} act={async (reason) => {
      const dates = Object.fromEntries((["deprecated_at", "obsolete_at", "ends_at"] as const).filter((x) => values[x]).map((x) => [x, midnight(values[x])]));
      await data(client.POST("/families/{family_id}/versions/{label}/actions/deprecate", { params: { path: { family_id: whole.family.id, label: version.label } },
        body: { ...dates, ...(values.replacement ? { replacement: values.replacement } : {}), ...(reason ? { reason } : {}), ...(force ? { force } : {}) } }));
      say(t("done.deprecated", { label: version.label }));
      changed();
    }}>
      <div class="filters">
        <Text label={t("image.deprecated_at")} type="date" value={values.deprecated_at} onInput={set("deprecated_at")} help={t("deprecate.now.help")} />
        <Text label={t("image.obsolete_at")} type="date" value={values.obsolete_at} onInput={set("obsolete_at")} />
        <Text label={t("image.ends_at")} type="date" value={values.ends_at} onInput={set("ends_at")} />
      </div>
      <Text label={t("deprecate.replacement")} value={values.replacement} onInput={set("replacement")} placeholder={`${whole.family.name}@stable`} help={t("deprecate.replacement.help")} maxLength={200} />
      <Check label={t("deprecate.force")} checked={force} onInput={setForce} help={t("deprecate.force.help")} />
    </Confirm>
  );
}
