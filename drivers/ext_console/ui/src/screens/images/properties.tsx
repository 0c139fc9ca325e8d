/** Properties of an image, edited with what the metadata definitions say of them. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { client, data } from "../../api/client.ts";
import { IMAGE, knownProperties, type Known } from "../../definitions.ts";
import type { May } from "../../permissions.ts";
import { useAction, useQuery } from "../../query.ts";
import { t, tn } from "../../text.ts";
import { Choice, Dialog, Text } from "../../ui/forms.tsx";
import { Button, Facts, Loading, Note, Section, Trouble } from "../../ui/parts.tsx";
import { say } from "../../ui/toasts.tsx";
import { properties, type Image } from "./model.ts";
import { difference, patch } from "./patch.ts";

interface Violation {
  property: string;
  message: string;
}

export function Properties({ image, may, changed }: { image: Image; may: May; changed: () => void }): JSX.Element {
  const [open, setOpen] = useState(false);
  const all = properties(image);
  return (
    <Section title={t("properties.title")} actions={may("modify_image") && <Button onClick={() => setOpen(true)}>{t("action.properties.edit")}</Button>}>
      {all.length ? <Facts rows={all.map(([name, value]) => [name, <span class="long">{value}</span>])} /> : <p class="muted">{t("properties.none")}</p>}
      {open && <Editor image={image} close={() => setOpen(false)} changed={changed} />}
    </Section>
  );
}

function Editor({ image, close, changed }: { image: Image; close: () => void; changed: () => void }): JSX.Element {
  const before = Object.fromEntries(properties(image));
  const [values, setValues] = useState<Record<string, string>>(before);
  const [adding, setAdding] = useState("");
  const [violations, setViolations] = useState<Violation[]>([]);
  const [told, setTold] = useState("");
  const definitions = useQuery("definitions of images", knownProperties);
  const known = new Map((definitions.data ?? []).map((x) => [x.name, x]));
  const saving = useAction(async () => {
    const state = JSON.stringify(values);
    if (state !== told) {
      const found = await data(client.POST("/v2/metadefs/validate", { body: { resource_type: IMAGE, properties: values as never } }));
      setViolations(found.violations);
      setTold(state);
      if (found.violations.length) return; // they are shown first; saved when that is wanted all the same
    }
    const changes = difference(before, values);
    if (changes.length) await patch(image.id, changes);
    say(t("done.saved"));
    changed();
    close();
  });
  const add = (): void => {
    const name = adding.trim();
    if (!name) return;
    const definition = known.get(name)?.definition;
    setValues({ [name]: String(definition?.default ?? definition?.enum?.[0] ?? ""), ...values });
    setAdding("");
  };
  const changes = difference(before, values).length;
  return (
    <Dialog title={t("properties.edit.title", { name: image.name || image.id })} close={close} wide>
      <form onSubmit={(e) => (e.preventDefault(), void saving.run())}>
        <div class="row bottom">
          <Text label={t("properties.add")} value={adding} onInput={setAdding} list={[...known.keys()]} help={known.get(adding) ? about(known.get(adding)!) : t("properties.add.help")} maxLength={255} />
          <Button onClick={add} disabled={!adding.trim()}>
            {t("action.add")}
          </Button>
        </div>
        {definitions.loading && <Loading label={t("properties.definitions.loading")} />}
        <ul class="list">
          {Object.entries(values).map(([name, value]) => (
            <li key={name} class="row bottom property">
              <Value name={name} value={value} known={known.get(name)} wrong={violations.find((x) => x.property === name)?.message} set={(x) => setValues({ ...values, [name]: x })} />
              <Button kind="quiet" onClick={() => setValues(Object.fromEntries(Object.entries(values).filter(([x]) => x !== name)))} aria-label={t("action.property.remove", { name })}>
                {t("action.remove")}
              </Button>
            </li>
          ))}
        </ul>
        {violations.length > 0 && <Note tone="warn" role="alert">{t("properties.violations")}</Note>}
        {saving.error && <Trouble error={saving.error} />}
        <p class="row end">
          <span class="muted">{tn("properties.changes", changes)}</span>
          <Button onClick={close}>{t("action.leave")}</Button>
          <Button type="submit" kind="main" busy={saving.busy}>
            {t(violations.length ? "action.save.anyway" : "action.save")}
          </Button>
        </p>
      </form>
    </Dialog>
  );
}

function about(known: Known): string {
  return [known.definition.title, known.definition.description].filter(Boolean).join(": ");
}

function Value({ name, value, known, wrong, set }: { name: string; value: string; known: Known | undefined; wrong: string | undefined; set: (value: string) => void }): JSX.Element {
  const definition = known?.definition;
  const choices = definition?.type === "boolean" ? ["true", "false"] : definition?.enum?.map(String);
  const help = known ? about(known) : t("properties.unknown");
  if (choices?.length) {
    const all = choices.includes(value) ? choices : [value, ...choices];
    return <Choice label={name} value={value} onInput={set} options={all.map((x) => [x, x])} help={wrong ?? help} />;
  }
  return (
    <Text label={name} value={value} onInput={set} help={help} {...(wrong ? { wrong } : {})}
      type={definition?.type === "integer" || definition?.type === "number" ? "number" : "text"} />
  );
}
