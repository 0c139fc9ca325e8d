/** Policies for old images. */
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { client, data } from "../api/client.ts";
import type { paths } from "../api/schema.d.ts";
import { away } from "../api/connection.ts";
import { usePermissions } from "../permissions.ts";
import { useAction, useQuery } from "../query.ts";
import { t, tn, tw } from "../text.ts";
import { Choice, Dialog, Text } from "../ui/forms.tsx";
import { Button, Empty, Loading, Note, Screen, Time, Trouble } from "../ui/parts.tsx";
import { say } from "../ui/toasts.tsx";

export type Policy = paths["/lifecycle/policies/{policy_id}"]["get"]["responses"][200]["content"]["application/json"];
type Step = Policy["steps"][number];

export function Lifecycle(): JSX.Element {
  const may = usePermissions();
  const found = useQuery("policies", () => data(client.GET("/lifecycle/policies", {})));
  const [making, setMaking] = useState(false);
  const policies = found.data?.policies ?? [];
  const make = may("lifecycle_change") && (
    <Button kind="main" onClick={() => setMaking(true)}>
      {t("action.policy.new")}
    </Button>
  );
  return (
    <Screen title={t("lifecycle.title")} about={t("lifecycle.about")} actions={make}>
      {found.error && away.value === null && <Trouble error={found.error} retry={found.reload} />}
      {!found.data && found.loading && <Loading />}
      {found.data && !policies.length && (
        <Empty title={t("policies.none")} actions={make}>
          <p>{t("policies.none.about")}</p>
        </Empty>
      )}
      {policies.length > 0 && (
        <div class="scroll" tabIndex={0} role="region" aria-label={t("table.of", { what: t("lifecycle.title") })}>
          <table class="plain">
            <thead>
              <tr>
                <th scope="col">{t("policy.name")}</th>
                <th scope="col">{t("policy.selects")}</th>
                <th scope="col">{t("policy.steps")}</th>
                <th scope="col">{t("policy.written")}</th>
              </tr>
            </thead>
            <tbody>
              {policies.map((x) => (
                <tr key={x.id}>
                  <td>
                    <a href={`/console/lifecycle/${x.id}`}>{x.name}</a>
                  </td>
                  <td>{selects(x).join("; ")}</td>
                  <td>{x.steps.map((each) => tw("step", each.action)).join(", ")}</td>
                  <td>
                    <Time at={x.written_at} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {making && <PolicyDialog policy={null} close={() => setMaking(false)} changed={found.reload} />}
    </Screen>
  );
}

/** What a policy selects, one sentence for each condition. */
export function selects({ selector }: Pick<Policy, "selector">): string[] {
  const found = [
    ...(selector.families?.length ? [t("selects.families", { names: selector.families.join(", ") })] : []),
    ...(selector.names?.length ? [t("selects.names", { names: selector.names.join(", ") })] : []),
    ...(selector.name_prefix ? [t("selects.prefix", { prefix: selector.name_prefix })] : []),
    ...(selector.tags?.length ? [t("selects.tags", { tags: selector.tags.join(", ") })] : []),
    ...Object.entries(selector.properties ?? {}).map(([name, value]) => t("selects.property", { name, value })),
  ];
  return found.length ? found : [t("selects.nothing")];
}

export function keeps({ keep }: Pick<Policy, "keep">): string[] {
  return [
    ...(keep?.newest ? [tn("keeps.newest", keep.newest)] : []),
    ...(keep?.younger_than_days ? [tn("keeps.younger", keep.younger_than_days)] : []),
    ...(keep?.tags?.length ? [t("keeps.tags", { tags: keep.tags.join(", ") })] : []),
    ...Object.entries(keep?.properties ?? {}).map(([name, value]) => t("selects.property", { name, value })),
  ];
}

export function stepText(step: Step): string {
  const when = [
    ...(step.age_days ? [tn("step.age", step.age_days)] : []),
    ...(step.beyond ? [tn("step.beyond", step.beyond)] : []),
    ...(step.past ? [tn("step.past", step.days ?? 0, { date: t(`past.${step.past}`) })] : []),
  ];
  return t("step.when", { action: tw("step", step.action), when: when.join(t("and")) });
}

const ACTIONS = ["deprecate", "hide", "deactivate", "delete"] as const;
const PASTS = ["deprecated_at", "obsolete_at", "ends_at", "provided_until", "uuid_validity"] as const;

function words(text: string): string[] {
  return text.split(",").map((x) => x.trim()).filter(Boolean);
}

interface Draft {
  action: (typeof ACTIONS)[number];
  age_days: string;
  beyond: string;
  past: string;
  days: string;
}

function draftOf(step: Step): Draft {
  const text = (x: number | undefined): string => (x === undefined ? "" : String(x));
  return { action: step.action, age_days: text(step.age_days), beyond: text(step.beyond), past: step.past ?? "", days: text(step.days) };
}

function stepOf(draft: Draft): Step {
  return {
    action: draft.action,
    ...(draft.age_days ? { age_days: Number(draft.age_days) } : {}),
    ...(draft.beyond ? { beyond: Number(draft.beyond) } : {}),
    ...(draft.past ? { past: draft.past as NonNullable<Step["past"]>, ...(draft.days ? { days: Number(draft.days) } : {}) } : {}),
  };
}

export function PolicyDialog({ policy, close, changed }: { policy: Policy | null; close: () => void; changed: () => void }): JSX.Element {
  const { route } = useLocation();
  const [values, setValues] = useState({ name: policy?.name ?? "", families: policy?.selector.families?.join(", ") ?? "", names: policy?.selector.names?.join(", ") ?? "",
    name_prefix: policy?.selector.name_prefix ?? "", tags: policy?.selector.tags?.join(", ") ?? "", newest: String(policy?.keep?.newest ?? (policy ? "" : 3)),
    younger: String(policy?.keep?.younger_than_days ?? ""), keepTags: policy?.keep?.tags?.join(", ") ?? "" });
  const [steps, setSteps] = useState<Draft[]>(policy?.steps.map(draftOf) ?? [{ action: "deprecate", age_days: "90", beyond: "", past: "", days: "" }]);
  const set = (name: keyof typeof values) => (value: string) => setValues({ ...values, [name]: value });
  const change = (at: number, what: Partial<Draft>): void => setSteps(steps.map((x, i) => (i === at ? { ...x, ...what } : x)));
  const body = {
    name: values.name,
    selector: { ...(policy?.selector.properties ? { properties: policy.selector.properties } : {}), ...(values.families ? { families: words(values.families) } : {}),
      ...(values.names ? { names: words(values.names) } : {}), ...(values.name_prefix ? { name_prefix: values.name_prefix } : {}), ...(values.tags ? { tags: words(values.tags) } : {}) },
    keep: { ...(policy?.keep?.properties ? { properties: policy.keep.properties } : {}), ...(values.newest ? { newest: Number(values.newest) } : {}),
      ...(values.younger ? { younger_than_days: Number(values.younger) } : {}), ...(values.keepTags ? { tags: words(values.keepTags) } : {}) },
    steps: steps.map(stepOf),
  };
  const saving = useAction(async () => {
    const made = policy
      ? await data(client.PUT("/lifecycle/policies/{policy_id}", { params: { path: { policy_id: policy.id } }, body }))
      : await data(client.POST("/lifecycle/policies", { body }));
    say(t("done.saved"));
    changed();
    close();
    route(`/console/lifecycle/${made.id}`);
  });
  return (
    <Dialog title={policy ? t("policy.edit.title", { name: policy.name }) : t("action.policy.new")} close={close} wide>
      <form onSubmit={(e) => (e.preventDefault(), void saving.run())}>
        <Text label={t("policy.name")} value={values.name} onInput={set("name")} required maxLength={64} />
        <fieldset>
          <legend>{t("policy.selects")}</legend>
          <p class="help">{t("policy.selects.help")}</p>
          <div class="filters">
            <Text label={t("policy.families")} value={values.families} onInput={set("families")} help={t("policy.commas")} placeholder="debian/13" />
            <Text label={t("policy.names")} value={values.names} onInput={set("names")} help={t("policy.commas")} />
            <Text label={t("policy.prefix")} value={values.name_prefix} onInput={set("name_prefix")} />
            <Text label={t("policy.tags")} value={values.tags} onInput={set("tags")} help={t("policy.commas")} />
          </div>
        </fieldset>
        <fieldset>
          <legend>{t("policy.keeps")}</legend>
          <p class="help">{t("policy.keeps.help")}</p>
          <div class="filters">
            <Text label={t("policy.newest")} type="number" value={values.newest} onInput={set("newest")} />
            <Text label={t("policy.younger")} type="number" value={values.younger} onInput={set("younger")} />
            <Text label={t("policy.keeptags")} value={values.keepTags} onInput={set("keepTags")} help={t("policy.commas")} />
          </div>
        </fieldset>
        <fieldset>
          <legend>{t("policy.steps")}</legend>
          <p class="help">{t("policy.steps.help")}</p>
          {steps.map((x, i) => (
            // a step has no name of its own
            <div class="filters part" key={i}>
              <Choice label={t("policy.step", { n: i + 1 })} value={x.action} onInput={(action) => change(i, { action: action as Draft["action"] })} options={ACTIONS.map((a) => [a, t(`step.${a}`)])} />
              <Text label={t("policy.step.age")} type="number" value={x.age_days} onInput={(age_days) => change(i, { age_days })} />
              <Text label={t("policy.step.beyond")} type="number" value={x.beyond} onInput={(beyond) => change(i, { beyond })} />
              <Choice label={t("policy.step.past")} value={x.past} onInput={(past) => change(i, { past })} options={[["", t("policy.step.nodate")], ...PASTS.map((p) => [p, t(`past.${p}`)] as const)]} />
              {x.past && <Text label={t("policy.step.days")} type="number" value={x.days} onInput={(days) => change(i, { days })} />}
              {steps.length > 1 && (
                <Button kind="quiet" onClick={() => setSteps(steps.filter((_, at) => at !== i))} aria-label={t("action.step.remove", { n: i + 1 })}>
                  {t("action.remove")}
                </Button>
              )}
            </div>
          ))}
          {steps.length < 8 && <Button onClick={() => setSteps([...steps, { action: "hide", age_days: "180", beyond: "", past: "", days: "" }])}>{t("action.step.add")}</Button>}
        </fieldset>
        <Note>{t("policy.nothing")}</Note>
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
