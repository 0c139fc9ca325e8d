import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { client, data, raw } from "../../api/client.ts";
import { away } from "../../api/connection.ts";
import { session } from "../../api/session.ts";
import { usePermissions } from "../../permissions.ts";
import { useAction, useQuery } from "../../query.ts";
import { t } from "../../text.ts";
import { Choice, Dialog, Text } from "../../ui/forms.tsx";
import { Badge, Button, Empty, Loading, Screen, Time, Trouble } from "../../ui/parts.tsx";
import type { Family } from "./model.ts";

async function all(): Promise<Family[]> {
  const found = [];
  for (let path = "/families"; path; ) {
    const page: { families: Family[]; next?: string } = await raw(path);
    found.push(...page.families);
    path = page.next ?? "";
  }
  return found;
}

export function Families(): JSX.Element {
  const may = usePermissions();
  const found = useQuery("families", all);
  const [making, setMaking] = useState(false);
  const make = may("families_change") && (
    <Button kind="main" onClick={() => setMaking(true)}>
      {t("action.family.new")}
    </Button>
  );
  return (
    <Screen title={t("families.title")} about={t("families.about")} actions={make}>
      {found.error && away.value === null && <Trouble error={found.error} retry={found.reload} />}
      {!found.data && found.loading && <Loading />}
      {found.data?.length === 0 && (
        <Empty title={t("families.none")} actions={make}>
          <p>{t("families.none.about")}</p>
        </Empty>
      )}
      {found.data && found.data.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label={t("table.of", { what: t("families.title") })}>
          <table class="plain">
            <thead>
              <tr>
                <th scope="col">{t("family.name")}</th>
                <th scope="col">{t("family.default")}</th>
                <th scope="col">{t("image.visibility")}</th>
                <th scope="col">{t("family.description")}</th>
                <th scope="col">{t("image.created_at")}</th>
              </tr>
            </thead>
            <tbody>
              {found.data.map((x) => (
                <tr key={x.id}>
                  <td>
                    <a href={`/console/families/${x.id}`}>{x.name}</a>
                  </td>
                  <td>{x.default ? <Badge tone="busy">{x.default}</Badge> : "–"}</td>
                  <td>{t(x.visibility === "public" ? "family.public" : x.owner === (session.value?.project?.id ?? null) ? "family.own" : "family.private")}</td>
                  <td>{x.description}</td>
                  <td>
                    <Time at={x.created_at} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {making && <NewFamily close={() => setMaking(false)} mayPublish={may("families_publish")} />}
    </Screen>
  );
}

function NewFamily({ close, mayPublish }: { close: () => void; mayPublish: boolean }): JSX.Element {
  const { route } = useLocation();
  const [values, setValues] = useState({ name: "", description: "", visibility: "private" });
  const set = (name: keyof typeof values) => (value: string) => setValues({ ...values, [name]: value });
  const making = useAction(async () => {
    const { name, description, visibility } = values;
    const made = await data(client.POST("/families", { body: { name, ...(description ? { description } : {}), visibility: visibility as "private" | "public" } }));
    close();
    route(`/console/families/${made.id}`);
  });
  return (
    <Dialog title={t("action.family.new")} close={close}>
      <form onSubmit={(e) => (e.preventDefault(), void making.run())}>
        <Text label={t("family.name")} value={values.name} onInput={set("name")} required help={t("family.name.help")} placeholder="debian/13" maxLength={128} />
        <Text label={t("family.description")} value={values.description} onInput={set("description")} maxLength={2000} />
        {mayPublish && <Choice label={t("image.visibility")} value={values.visibility} onInput={set("visibility")} options={[["private", t("family.own")], ["public", t("family.public")]]} />}
        {making.error && <Trouble error={making.error} />}
        <p class="row end">
          <Button onClick={close}>{t("action.leave")}</Button>
          <Button type="submit" kind="main" busy={making.busy}>
            {t("action.make")}
          </Button>
        </p>
      </form>
    </Dialog>
  );
}
