/** Periodic jobs: when they ran, what they counted, and what they have found. */
import type { JSX } from "preact";
import { raw } from "../../api/client.ts";
import { away } from "../../api/connection.ts";
import { count, span } from "../../format.ts";
import { useAction, useQuery } from "../../query.ts";
import { t, tn, tw } from "../../text.ts";
import { Badge, Button, Empty, Facts, Loading, Note, Screen, Section, Time, Trouble, type Tone } from "../../ui/parts.tsx";
import { operated } from "./offered.ts";

interface Finding {
  kind: string;
  subject: string;
  text: string;
}

interface Report {
  outcome?: string;
  seconds?: number;
  counts?: Record<string, number>;
  findings?: Finding[];
  errors?: string[];
}

interface Job {
  name: string;
  summary: string;
  interval: number;
  dry_run: boolean;
  of_machine: boolean;
  started_at: string | null;
  ended_at: string | null;
  report: Report | null;
  trial?: { state: string; by: string | null; started_at: string; ended_at: string | null; report: Report | null } | null;
}

const TONES: Record<string, Tone> = { done: "good", stopped: "warn", failed: "bad" };

export function Jobs(): JSX.Element {
  const found = useQuery("jobs", () => operated<{ leader: string | null; jobs: Job[] }>("jobs"), (found) => (found?.jobs.some((x) => x.trial?.state === "running") ? 1500 : 15_000));
  return (
    <Screen title={t("jobs.title")} about={t("jobs.about")}>
      {found.error && away.value === null && <Trouble error={found.error} retry={found.reload} />}
      {found.data === undefined && found.loading && <Loading />}
      {found.data === null && <Empty title={t("operate.none")} />}
      {found.data && (found.data.leader ? <p class="muted">{t("jobs.leader", { name: found.data.leader })}</p> : <Note tone="warn">{t("jobs.nobody")}</Note>)}
      <div class="grid">
        {found.data?.jobs.map((x) => (
          <One key={x.name} job={x} changed={found.reload} />
        ))}
      </div>
    </Screen>
  );
}

function One({ job, changed }: { job: Job; changed: () => void }): JSX.Element {
  const { report, trial } = job;
  const trialCounts = Object.entries(trial?.report?.counts ?? {});
  const trying = useAction(async () => {
    await raw(`/v2/console/jobs/${encodeURIComponent(job.name)}/trial`, { method: "POST" });
    changed();
  });
  const runs = job.started_at !== null && (job.ended_at === null || job.ended_at < job.started_at);
  const counts = Object.entries(report?.counts ?? {});
  return (
    <Section title={job.name}>
      <p>{job.summary}</p>
      <p class="row">
        {runs && <Badge tone="busy">{t("job.runs")}</Badge>}
        {report?.outcome && <Badge tone={TONES[report.outcome] ?? "plain"}>{tw("job.outcome", report.outcome)}</Badge>}
        {job.dry_run && <Badge tone="warn">{t("job.dry")}</Badge>}
        {job.of_machine && <Badge>{t("job.machine")}</Badge>}
      </p>
      <Facts
        rows={[
          [t("job.interval"), t("job.every", { time: span(job.interval) })],
          [t("job.last"), job.ended_at ? <Time at={job.ended_at} /> : t("job.never")],
          report?.seconds !== undefined && [t("job.took"), tn("job.seconds", Math.round(report.seconds))],
          ...counts.map(([name, value]): [string, string] => [name.replaceAll("_", " "), count(value)]),
        ]}
      />
      <Told report={report} />
      {trial && (
        <Note tone={trial.state === "running" ? "busy" : "plain"}>
          <strong>{t(trial.state === "running" ? "job.trial.runs" : "job.trial")}</strong>
          {trial.state !== "running" && (
            <p>
              <Time at={trial.ended_at} /> {trialCounts.length ? trialCounts.map(([name, value]) => `${name.replaceAll("_", " ")}: ${count(value)}`).join(", ") : t("job.trial.nothing")}
            </p>
          )}
          <Told report={trial.report} />
        </Note>
      )}
      {trying.error && <Trouble error={trying.error} />}
      <p class="row">
        <Button busy={trying.busy || trial?.state === "running"} onClick={() => void trying.run()} title={t("job.try.means")}>
          {t("action.try")}
        </Button>
      </p>
      <details>
        <summary>{t("job.run")}</summary>
        <p class="muted">{t("job.run.about")}</p>
        <pre>{`glance-periodic run ${job.name}`}</pre>
      </details>
    </Section>
  );
}

function Told({ report }: { report: Report | null }): JSX.Element {
  return (
    <>
      {report?.errors?.map((x) => <Note key={x} tone="bad">{x}</Note>)}
      {(report?.findings?.length ?? 0) > 0 && (
        <details open>
          <summary>{tn("job.findings", report?.findings?.length ?? 0)}</summary>
          <ul class="list">
            {report?.findings?.map((x) => (
              <li key={`${x.kind} ${x.subject} ${x.text}`}>
                <FindingText finding={x} />
              </li>
            ))}
          </ul>
        </details>
      )}
    </>
  );
}

function FindingText({ finding }: { finding: Finding }): JSX.Element {
  const { kind, subject, text } = finding;
  return (
    <>
      <strong>{kind.replaceAll("_", " ")}</strong> {/^[0-9a-f-]{36}$/i.test(subject) ? <a href={`/console/images/${subject}`}>{subject}</a> : <code>{subject}</code>}{" "}
      <span>{text}</span>
    </>
  );
}
