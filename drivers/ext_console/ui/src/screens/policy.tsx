/** One policy: what it says, the plans that were made of it, and what applying one has done. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { client, data } from "../api/client.ts";
import { away } from "../api/connection.ts";
import type { paths } from "../api/schema.d.ts";
import { usePermissions } from "../permissions.ts";
import { useAction, useQuery } from "../query.ts";
import { t, tn, tw } from "../text.ts";
import { Confirm } from "../ui/forms.tsx";
import { Badge, Button, Empty, Facts, Loading, Note, Screen, Section, Time, Trouble } from "../ui/parts.tsx";
import { say } from "../ui/toasts.tsx";
import { keeps, PolicyDialog, selects, stepText } from "./lifecycle.tsx";

type Plan = paths["/lifecycle/plans/{plan_id}"]["get"]["responses"][200]["content"]["application/json"];

export function PolicyScreen({ id = "" }: { id?: string }): JSX.Element {
  const path = { policy_id: id };
  const found = useQuery(`policy ${id}`, () => data(client.GET("/lifecycle/policies/{policy_id}", { params: { path } })));
  const plans = useQuery(`plans ${id}`, () => data(client.GET("/lifecycle/policies/{policy_id}/plans", { params: { path } })),
    (all) => (all?.plans.some((x) => x.state === "applying") ? 1500 : 0));
  const may = usePermissions();
  const { route } = useLocation();
  const [open, setOpen] = useState<"edit" | "delete" | "">("");
  const planning = useAction(async () => {
    const made = await data(client.POST("/lifecycle/policies/{policy_id}/plans", { params: { path } }));
    say(tn("done.planned", made.entries.length));
    plans.reload();
  });
  const policy = found.data;
  if (!policy) {
    return (
      <Screen title={t("policy.title")}>
        {found.error?.status === 404 ? (
          <Empty title={t("policy.gone")} actions={<a href="/console/lifecycle">{t("nav.lifecycle")}</a>} />
        ) : found.error && away.value === null ? (
          <Trouble error={found.error} retry={found.reload} />
        ) : (
          <Loading />
        )}
      </Screen>
    );
  }
  const kept = keeps(policy);
  return (
    <Screen title={policy.name} about={<a href="/console/lifecycle">{t("nav.lifecycle")}</a>} actions={
      <>
        {may("lifecycle_plan") && <Button kind="main" busy={planning.busy} onClick={() => void planning.run()}>{t("action.plan")}</Button>}
        {may("lifecycle_change") && <Button onClick={() => setOpen("edit")}>{t("action.edit")}</Button>}
        {may("lifecycle_change") && <Button kind="danger" onClick={() => setOpen("delete")}>{t("action.delete")}</Button>}
      </>
    }>
      {planning.error && <Trouble error={planning.error} />}
      <Section title={t("policy.says")}>
        <Facts
          rows={[
            [t("policy.selects"), <ul>{selects(policy).map((x) => <li key={x}>{x}</li>)}</ul>],
            [t("policy.keeps"), kept.length ? <ul>{kept.map((x) => <li key={x}>{x}</li>)}</ul> : t("policy.keeps.nothing")],
            [t("policy.steps"), <ol>{policy.steps.map((x) => <li key={JSON.stringify(x)}>{stepText(x)}</li>)}</ol>],
            [t("policy.written"), <Time at={policy.written_at} />],
          ]}
        />
      </Section>
      <Section title={t("plans.title")}>
        {plans.error && away.value === null && <Trouble error={plans.error} retry={plans.reload} />}
        {plans.data && !plans.data.plans.length && <p class="muted">{t("plans.none")}</p>}
        <ul class="list">
          {plans.data?.plans.map((x, i) => (
            <li key={x.id}>
              <OnePlan plan={x} open={i === 0} written={policy.written_at} mayApply={may("lifecycle_apply")} changed={plans.reload} />
            </li>
          ))}
        </ul>
      </Section>
      {open === "edit" && <PolicyDialog policy={policy} close={() => setOpen("")} changed={found.reload} />}
      {open === "delete" && (
        <Confirm title={t("policy.delete.title", { name: policy.name })} effects={[t("policy.delete.effect"), t("policy.delete.images")]} action={t("action.delete")} danger
          close={() => setOpen("")} act={async () => {
            await data(client.DELETE("/lifecycle/policies/{policy_id}", { params: { path } }));
            route("/console/lifecycle");
          }} />
      )}
    </Screen>
  );
}

const TONES = { planned: "plain", applying: "busy", applied: "good" } as const;

function OnePlan({ plan, open, written, mayApply, changed }: { plan: Plan; open: boolean; written: string; mayApply: boolean; changed: () => void }): JSX.Element {
  const [applying, setApplying] = useState(false);
  const stale = plan.state === "planned" && (plan.expires_at < new Date().toISOString() || written > plan.made_at);
  const results = new Map(plan.result.map((x) => [`${x.image_id} ${x.action}`, x]));
  const counts = [...new Set(plan.entries.map((x) => x.action ?? ""))].map((x) => t("plan.count", { n: plan.entries.filter((e) => e.action === x).length, action: tw("step", x) }));
  return (
    <details open={open}>
      <summary>
        <span class="row inline">
          <Badge tone={TONES[plan.state]}>{t(`plan.${plan.state}`)}</Badge>
          <Time at={plan.applied_at ?? plan.made_at} /> {counts.length ? counts.join(", ") : t("plan.empty")}
        </span>
      </summary>
      {plan.notes.map((x) => <Note tone="warn" key={x}>{x}</Note>)}
      {!plan.entries.length && <p class="muted">{t("plan.empty.about")}</p>}
      {plan.entries.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label={t("table.of", { what: t("plan.label") })}>
          <table class="plain">
            <thead>
              <tr>
                <th scope="col">{t("plan.image")}</th>
                <th scope="col">{t("plan.step")}</th>
                <th scope="col">{t("plan.why")}</th>
                {plan.state !== "planned" && <th scope="col">{t("plan.result")}</th>}
              </tr>
            </thead>
            <tbody>
              {plan.entries.map((x) => {
                const result = results.get(`${x.image_id} ${x.action}`);
                return (
                  <tr key={`${x.image_id} ${x.action}`}>
                    <td>
                      <a href={`/console/images/${x.image_id}`}>{x.image_id}</a>
                    </td>
                    <td>{tw("step", x.action ?? "")}</td>
                    <td>{x.why}</td>
                    {plan.state !== "planned" && <td>{result ? (result.done ? t("plan.done") : t("plan.notdone", { why: result.why ?? "" })) : "–"}</td>}
                  </tr>
                );
              })}
            </tbody>
          </table>
        </div>
      )}
      {plan.left > 0 && <p class="muted">{tn("plan.left", plan.left)}</p>}
      {stale && <Note tone="warn">{t("plan.stale")}</Note>}
      {plan.state === "planned" && plan.entries.length > 0 && !stale && mayApply && (
        <p class="row">
          <Button kind="danger" onClick={() => setApplying(true)}>
            {t("action.apply")}
          </Button>
          <span class="muted">
            {t("plan.until")} <Time at={plan.expires_at} />
          </span>
        </p>
      )}
      {applying && (
        <Confirm title={t("apply.title")} effects={[...counts, t("apply.again"), t("apply.delete")]} action={t("action.apply")} danger close={() => setApplying(false)} act={async () => {
          const done = await data(client.POST("/lifecycle/plans/{plan_id}/actions/apply", { params: { path: { plan_id: plan.id } } }));
          say(t("done.applied", { done: done.result.filter((x) => x.done).length, all: done.entries.length }));
          changed();
        }} />
      )}
    </details>
  );
}
