/** What is being done with an image and was, how far it is, why it failed, and what to do then. */
import type { JSX } from "preact";
import { client, data } from "../../api/client.ts";
import { away } from "../../api/connection.ts";
import type { May } from "../../permissions.ts";
import { useAction, useQuery } from "../../query.ts";
import { has, t, tw } from "../../text.ts";
import { Badge, Button, Loading, Note, Progress, Section, Status, Time, Trouble } from "../../ui/parts.tsx";
import { say } from "../../ui/toasts.tsx";
import { busy, type Image, type Task } from "./model.ts";

const RUNS = ["pending", "processing"];

export function Tasks({ image, may, changed }: { image: Image; may: May; changed: () => void }): JSX.Element {
  const found = useQuery(`tasks ${image.id} ${image.status} ${image.updated_at}`, () => data(client.GET("/v2/images/{image_id}/tasks", { params: { path: { image_id: image.id } } })),
    (tasks) => (busy(image) || tasks?.tasks.some((x) => RUNS.includes(x.status ?? "")) ? 1500 : 0));
  const tasks = [...(found.data?.tasks ?? [])].sort((a, b) => (b.created_at ?? "").localeCompare(a.created_at ?? ""));
  const done = (): void => {
    found.reload();
    changed();
  };
  return (
    <Section title={t("tasks.title")}>
      {found.error && away.value === null && <Trouble error={found.error} retry={found.reload} />}
      {!found.data && !found.error && <Loading />}
      {found.data && !tasks.length && <p class="muted">{t("tasks.none")}</p>}
      <ul class="list">
        {tasks.map((x) => (
          <li key={x.id}>
            <OneTask task={x} image={image} may={may} changed={done} />
          </li>
        ))}
      </ul>
    </Section>
  );
}

function method(task: Task): string {
  const input = task.input as { import_req?: { method?: { name?: string } } } | null | undefined;
  return input?.import_req?.method?.name ?? task.type ?? "";
}

export function OneTask({ task, image, may, changed }: { task: Task; image: Image; may: May; changed: () => void }): JSX.Element {
  const path = { image_id: image.id, task_id: task.id ?? "" };
  const cancel = useAction(async () => {
    await data(client.POST("/v2/images/{image_id}/tasks/{task_id}/actions/cancel", { params: { path } }));
    say(t("done.cancelling"));
    changed();
  });
  const retry = useAction(async () => {
    await data(client.POST("/v2/images/{image_id}/tasks/{task_id}/actions/retry", { params: { path } }));
    say(t("done.retrying"));
    changed();
  });
  const runs = RUNS.includes(task.status ?? "");
  const failedStores = task.progress?.stores?.filter((x) => x.state === "failed") ?? [];
  return (
    <article class="task">
      <p class="row">
        <strong>{tw("method", method(task))}</strong>
        <Status word={task.status ?? ""} kind="task" />
        <span class="muted">
          <Time at={task.created_at} />
        </span>
      </p>
      {runs && task.progress && (
        <>
          <p class="muted">{stage(task.progress.stage ?? "")}</p>
          <Progress done={task.progress.bytes ?? 0} total={task.progress.total ?? null} label={t("tasks.progress")} />
        </>
      )}
      {(task.progress?.stores?.length ?? 0) > 0 && (
        <p class="row">
          {task.progress?.stores?.map((x) => (
            <Badge key={x.store} tone={x.state === "done" ? "good" : x.state === "failed" ? "bad" : "busy"}>
              {t("tasks.store", { store: x.store ?? "", state: tw("copy", x.state ?? "") })}
            </Badge>
          ))}
        </p>
      )}
      {task.error && <Failure code={task.error} message={task.message ?? ""} />}
      {!task.error && task.message && <p class="muted">{task.message}</p>}
      {failedStores.map((x) => x.error && <p key={x.store} class="said">{`${x.store}: ${x.error}`}</p>)}
      {task.kept_until && (
        <p class="muted">
          {t("tasks.kept")} <Time at={task.kept_until} />
        </p>
      )}
      {(cancel.error ?? retry.error) && <Trouble error={(cancel.error ?? retry.error)!} />}
      {may("modify_image") && (
        <p class="row">
          {runs && !task.cancel_requested && (
            <Button busy={cancel.busy} onClick={() => void cancel.run()} title={t("tasks.cancel.means")}>
              {t("action.cancel")}
            </Button>
          )}
          {runs && task.cancel_requested && <span class="muted">{t("tasks.cancelling")}</span>}
          {(task.status === "failure" || failedStores.length > 0) && !runs && (
            <Button busy={retry.busy} onClick={() => void retry.run()} title={t("tasks.retry.means")}>
              {t("action.retry")}
            </Button>
          )}
        </p>
      )}
    </article>
  );
}

export function stage(word: string): string {
  const [name, of = ""] = word.split(":");
  return has(`stage.${name}`) ? t(`stage.${name}` as never, { of }) : word;
}

/** Why a task failed: the service's sentence, and what helps against failures of this kind. */
export function Failure({ code, message }: { code: string; message: string }): JSX.Element {
  return (
    <Note tone="bad">
      <strong>{tw("failure", code)}</strong>
      {message && <p class="said">{message}</p>}
      <p>{has(`failure.${code}.todo`) ? t(`failure.${code}.todo` as never) : t("failure.todo")}</p>
    </Note>
  );
}
