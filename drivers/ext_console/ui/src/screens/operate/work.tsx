/** Imports and uploads of all projects that go on now, how far they are, and what has failed lately. */
import type { JSX } from "preact";
import { client, data } from "../../api/client.ts";
import { away } from "../../api/connection.ts";
import { useQuery } from "../../query.ts";
import { t } from "../../text.ts";
import { Badge, Empty, Loading, Note, Progress, Screen, Section, Status, Time, Trouble } from "../../ui/parts.tsx";
import { Failure, stage } from "../images/tasks.tsx";
import { operated } from "./offered.ts";

interface Upload {
  id: string;
  state: string;
  offset: number;
  length: number | null;
  expires_at: string;
}

interface Row {
  image_id: string;
  name: string | null;
  owner: string | null;
  status: string;
  since: string;
  task_id: string | null;
  stores: string[];
  uploads: Upload[];
}

export function Work(): JSX.Element {
  const found = useQuery("work", () => operated<{ work: Row[]; complete: boolean }>("work"), 3000);
  return (
    <Screen title={t("work.title")} about={t("work.about")}>
      {found.error && away.value === null && <Trouble error={found.error} retry={found.reload} />}
      {found.data === undefined && found.loading && <Loading />}
      {found.data === null && <Empty title={t("operate.none")} />}
      {found.data?.work.length === 0 && (
        <Empty title={t("work.none")}>
          <p>{t("work.none.about")}</p>
        </Empty>
      )}
      {found.data && found.data.work.length > 0 && (
        <Section title={t("work.now")}>
          <ul class="list">
            {found.data.work.map((x) => (
              <li key={x.image_id} class="task">
                <p class="row">
                  <a href={`/console/images/${x.image_id}`}>{x.name || x.image_id}</a>
                  <Status word={x.status} />
                  <span class="muted">{x.owner && t("work.of", { project: x.owner })}</span>
                  <Time at={x.since} />
                </p>
                {x.uploads.map((each) => (
                  <Progress key={each.id} done={each.offset} total={each.length} label={t("work.upload", { name: x.name || x.image_id })} />
                ))}
                {x.task_id && <ImportOf image={x.image_id} task={x.task_id} />}
                {x.stores.length > 0 && <p class="row">{t("work.stores")} {x.stores.map((each) => <Badge key={each}>{each}</Badge>)}</p>}
              </li>
            ))}
          </ul>
          {!found.data.complete && <Note>{t("work.more")}</Note>}
        </Section>
      )}
      <Failures />
    </Screen>
  );
}

function ImportOf({ image, task }: { image: string; task: string }): JSX.Element | null {
  const found = useQuery(`tasks ${image}`, () => data(client.GET("/v2/images/{image_id}/tasks", { params: { path: { image_id: image } } })), 3000);
  const one = found.data?.tasks.find((x) => x.id === task);
  if (!one?.progress) return null;
  return (
    <>
      <p class="muted">{stage(one.progress.stage ?? "")}</p>
      <Progress done={one.progress.bytes ?? 0} total={one.progress.total ?? null} label={t("tasks.progress")} />
    </>
  );
}

interface TaskRow {
  id: string;
  status: string;
  message?: string | null;
  error?: string | null;
  image_id?: string | null;
  updated_at: string;
}

/** Tasks that have ended badly and are not forgotten yet. */
function Failures(): JSX.Element | null {
  const list = useQuery("failed tasks", async () => {
    const query = { status: "failure", limit: 10, sort_key: "updated_at", sort_dir: "desc" };
    const found = await data(client.GET("/v2/tasks", { params: { query: query as never } }));
    const rows = (found as { tasks: TaskRow[] }).tasks;
    return Promise.all(rows.map(async (x) => (await data(client.GET("/v2/tasks/{task_id}", { params: { path: { task_id: x.id } } }))) as TaskRow));
  }, 15_000);
  if (list.error && away.value === null) return <Trouble error={list.error} retry={list.reload} />;
  if (!list.data) return null;
  return (
    <Section title={t("work.failures")}>
      {!list.data.length && <p class="muted">{t("work.failures.none")}</p>}
      <ul class="list">
        {list.data.map((x) => (
          <li key={x.id} class="task">
            <p class="row">
              {x.image_id ? <a href={`/console/images/${x.image_id}`}>{x.image_id}</a> : x.id} <Time at={x.updated_at} />
            </p>
            <Failure code={x.error ?? ""} message={x.message ?? ""} />
          </li>
        ))}
      </ul>
    </Section>
  );
}
