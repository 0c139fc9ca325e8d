/** For admins: what other projects use of what they may, and limits of their own. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { client, data } from "../api/client.ts";
import { away } from "../api/connection.ts";
import { useAction, useQuery } from "../query.ts";
import { t, type Key } from "../text.ts";
import { Dialog, Text } from "../ui/forms.tsx";
import { Button, Section, Trouble } from "../ui/parts.tsx";
import { say } from "../ui/toasts.tsx";
import { amount } from "./usage.tsx";

const LIMITS = ["image_size_total", "image_stage_total", "image_count_total", "image_count_uploading"] as const;
type Limits = Partial<Record<(typeof LIMITS)[number], number>>;

export function Quotas({ mayChange }: { mayChange: boolean }): JSX.Element {
  const { query, route, path } = useLocation();
  const [project, setProject] = useState(query.project ?? "");
  const [editing, setEditing] = useState(false);
  const own = useQuery("quotas", () => data(client.GET("/v2/quotas", {})));
  const wanted = query.project ?? "";
  const one = useQuery(wanted ? `quota ${wanted}` : null, () => data(client.GET("/v2/quotas/{project_id}", { params: { path: { project_id: wanted } } })));
  const failed = own.error ?? one.error;
  return (
    <Section title={t("quotas.title")}>
      {failed && away.value === null && <Trouble error={failed} retry={() => (own.reload(), one.reload())} />}
      <form class="row bottom" onSubmit={(e) => (e.preventDefault(), route(project.trim() ? `${path}?project=${encodeURIComponent(project.trim())}` : path))}>
        <Text label={t("quotas.project")} value={project} onInput={setProject} list={own.data?.quotas.map((x) => x.project_id) ?? []} />
        <Button type="submit">{t("action.look")}</Button>
      </form>
      {one.data && (
        <>
          <div class="scroll" tabIndex={0} role="region" aria-label={t("table.of", { what: t("usage.of", { project: wanted }) })}>
            <table class="plain">
              <thead>
                <tr>
                  <th scope="col">{t("quotas.what")}</th>
                  <th scope="col">{t("quotas.used")}</th>
                  <th scope="col">{t("quotas.limit")}</th>
                </tr>
              </thead>
              <tbody>
                {Object.entries(one.data.usage).map(([name, x]) => (
                  <tr key={name}>
                    <td>{t(`usage.${name}` as Key)}</td>
                    <td>{amount(name, x.usage)}</td>
                    <td>
                      {x.limit < 0 ? t("usage.unlimited") : amount(name, x.limit)} {name in one.data!.limits && <span class="muted">{t("quotas.own")}</span>}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
          {mayChange && (
            <p class="row">
              <Button onClick={() => setEditing(true)}>{t("action.limits")}</Button>
            </p>
          )}
          {editing && <LimitDialog project={wanted} limits={one.data.limits} close={() => setEditing(false)} changed={() => (own.reload(), one.reload())} />}
        </>
      )}
      {own.data && !wanted && (
        <p>
          {own.data.quotas.length ? t("quotas.with") : t("quotas.none")}{" "}
          {own.data.quotas.map((x) => (
            <a key={x.project_id} class="badge" href={`${path}?project=${encodeURIComponent(x.project_id)}`}>
              {x.project_id}
            </a>
          ))}
        </p>
      )}
    </Section>
  );
}

function LimitDialog({ project, limits, close, changed }: { project: string; limits: Limits; close: () => void; changed: () => void }): JSX.Element {
  const [values, setValues] = useState<Record<string, string>>(Object.fromEntries(LIMITS.map((x) => [x, limits[x] === undefined ? "" : String(limits[x])])));
  const saving = useAction(async () => {
    const body = Object.fromEntries(LIMITS.filter((x) => values[x] !== "" || limits[x] !== undefined).map((x) => [x, values[x] === "" ? null : Number(values[x])]));
    if (Object.keys(body).length) await data(client.PATCH("/v2/quotas/{project_id}", { params: { path: { project_id: project } }, body: body as never }));
    say(t("done.saved"));
    changed();
    close();
  });
  return (
    <Dialog title={t("quotas.edit", { project })} close={close}>
      <form onSubmit={(e) => (e.preventDefault(), void saving.run())}>
        <p class="help">{t("quotas.edit.help")}</p>
        {LIMITS.map((x) => (
          <Text key={x} label={t(`quotas.field.${x}`)} type="number" value={values[x] ?? ""} onInput={(value) => setValues({ ...values, [x]: value })} />
        ))}
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
