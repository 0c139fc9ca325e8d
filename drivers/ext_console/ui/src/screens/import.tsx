/** Let the service fetch an image from a URL, and check it. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { client, data } from "../api/client.ts";
import { importMethods, stores, takes } from "../info.ts";
import { usePermissions } from "../permissions.ts";
import { useAction, useQuery } from "../query.ts";
import { t } from "../text.ts";
import { Check, Choice, Text } from "../ui/forms.tsx";
import { Button, Empty, Note, Screen, Section, Trouble } from "../ui/parts.tsx";
import { say } from "../ui/toasts.tsx";
import { algorithmOf } from "../uploads/digest.ts";
import { formatByName, nameOf } from "../uploads/formats.ts";

const FORMATS = ["qcow2", "raw", "iso", "vmdk", "vdi", "vhd", "vhdx", "ploop"];

export function ImportScreen(): JSX.Element {
  const may = usePermissions();
  const { route } = useLocation();
  const methods = useQuery("methods", importMethods);
  const places = useQuery("stores", () => stores());
  const [values, setValues] = useState({ uri: "", name: "", disk_format: "", visibility: "shared", how: "none", digest: "", checksum_url: "", checksum_name: "" });
  const [chosen, setChosen] = useState<string[]>([]);
  const [all, setAll] = useState(true);
  const set = (name: keyof typeof values) => (value: string) => setValues({ ...values, [name]: value });
  const algorithm = algorithmOf(values.digest.trim());
  const name = values.name || nameOf(values.uri);
  const format = values.disk_format || formatByName(values.uri);
  const beginning = useAction(async () => {
    const image = await data(client.POST("/v2/images", { body: { name, disk_format: format, container_format: "bare", visibility: values.visibility } as never }));
    const id = image.id as string;
    const method = { name: "web-download", uri: values.uri.trim(),
      ...(values.how === "digest" && algorithm ? { expected: { [algorithm]: values.digest.trim().toLowerCase() } } : {}),
      ...(values.how === "file" ? { checksum_url: values.checksum_url.trim(), ...(values.checksum_name.trim() ? { checksum_name: values.checksum_name.trim() } : {}) } : {}) };
    try {
      await data(client.POST("/v2/images/{image_id}/import", { params: { path: { image_id: id } },
        body: { method, ...(chosen.length ? { stores: chosen, all_stores_must_succeed: all } : {}) } as never }));
    } catch (error) {
      await client.DELETE("/v2/images/{image_id}", { params: { path: { image_id: id } } });
      throw error;
    }
    say(t("done.importing"));
    route(`/console/images/${id}`);
  });
  if (methods.data && !methods.data.includes("web-download")) {
    return (
      <Screen title={t("import.title")}>
        <Empty title={t("import.off")} actions={<a href="/console/upload">{t("action.upload")}</a>}>
          <p>{t("import.off.about")}</p>
        </Empty>
      </Screen>
    );
  }
  const writable = places.data?.filter(takes) ?? [];
  const visible = (["private", "shared", "community", "public"] as const).filter((x) => (x !== "public" || may("publicize_image")) && (x !== "community" || may("communitize_image")));
  const incomplete = !values.uri.trim() || (values.how === "digest" && !algorithm) || (values.how === "file" && !values.checksum_url.trim());
  return (
    <Screen title={t("import.title")} about={t("import.about")}>
      <form onSubmit={(e) => (e.preventDefault(), void beginning.run())}>
        <Section title={t("import.what")}>
          <Text label={t("import.uri")} type="url" value={values.uri} onInput={set("uri")} required placeholder="https://example.org/debian-13.qcow2" maxLength={4096} />
          <div class="filters">
            <Text label={t("image.name")} value={values.name} onInput={set("name")} placeholder={nameOf(values.uri)} maxLength={255} />
            <Choice label={t("image.disk_format")} value={format} onInput={set("disk_format")} options={FORMATS.map((x) => [x, x])} />
            <Choice label={t("image.visibility")} value={values.visibility} onInput={set("visibility")} options={visible.map((x) => [x, t(`visibility.${x}.means`)])} />
          </div>
        </Section>
        <Section title={t("import.check")}>
          <Choice label={t("import.check.how")} value={values.how} onInput={set("how")}
            options={[["none", t("import.check.none")], ["digest", t("import.check.digest")], ["file", t("import.check.file")]]} />
          {values.how === "none" && <Note tone="warn">{t("import.check.none.about")}</Note>}
          {values.how === "digest" && (
            <Text label={t("import.digest")} value={values.digest} onInput={set("digest")} required help={algorithm ? t("digest.known", { algorithm }) : t("upload.digest.help")}
              {...(values.digest.trim() && !algorithm ? { wrong: t("digest.unknown") } : {})} />
          )}
          {values.how === "file" && (
            <>
              <Text label={t("import.checksum_url")} type="url" value={values.checksum_url} onInput={set("checksum_url")} required placeholder="https://example.org/SHA256SUMS" />
              <Text label={t("import.checksum_name")} value={values.checksum_name} onInput={set("checksum_name")} help={t("import.checksum_name.help")} />
            </>
          )}
        </Section>
        {writable.length > 1 && (
          <Section title={t("import.stores")}>
            <fieldset>
              <legend>{t("import.stores.about")}</legend>
              {writable.map((x) => (
                <Check key={x.id} label={x.id} checked={chosen.includes(x.id)} onInput={(on) => setChosen(on ? [...chosen, x.id] : chosen.filter((each) => each !== x.id))} />
              ))}
            </fieldset>
            {chosen.length > 1 && <Check label={t("import.all")} checked={all} onInput={setAll} help={t("import.all.help")} />}
          </Section>
        )}
        {beginning.error && <Trouble error={beginning.error} title={t("import.refused")} />}
        <p class="row end">
          <Button type="submit" kind="main" busy={beginning.busy} disabled={incomplete || !may("add_image")}>
            {t("action.import.begin")}
          </Button>
        </p>
      </form>
    </Screen>
  );
}
