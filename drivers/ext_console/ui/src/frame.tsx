/** Header, navigation, the banner while the service is away, and the uploads that run. */
import { signal } from "@preact/signals";
import { useLocation } from "preact-iso";
import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { away, tryNow } from "./api/connection.ts";
import { chooseProject, extension, logout, session } from "./api/session.ts";
import { offered } from "./screens/operate/offered.ts";
import { running } from "./uploads/state.ts";
import { clock, percent } from "./format.ts";
import { usePermissions, type May } from "./permissions.ts";
import { useAction } from "./query.ts";
import { t, tn, type Key } from "./text.ts";
import { Button, Trouble } from "./ui/parts.tsx";
import { chooseTheme, theme, type Theme } from "./ui/theme.ts";

const open = signal(false);

export function Header(): JSX.Element {
  const found = session.value;
  const project = useAction(chooseProject);
  const leave = useAction(logout);
  const loggedIn = found?.methods.every((x) => x.name === "none" || x.name === "proxy") === false;
  return (
    <header class="top">
      <Button kind="quiet" class="button quiet menu" aria-expanded={open.value} aria-controls="navigation" onClick={() => (open.value = !open.value)}>
        {t("nav.menu")}
      </Button>
      <a class="brand" href="/console/images">
        {t("brand")}
      </a>
      <div class="row">
        {found && found.projects.length > 1 ? (
          <label class="inline">
            <span>{t("header.project")}</span>
            <select value={found.project?.id ?? ""} disabled={project.busy} onChange={(e) => void project.run(e.currentTarget.value)}>
              {found.projects.map((x) => (
                <option key={x.id} value={x.id} selected={x.id === found.project?.id}>
                  {x.name}
                </option>
              ))}
            </select>
          </label>
        ) : (
          found?.project && <span class="muted who">{found.project.name}</span>
        )}
        <details class="pop">
          <summary>{found?.user?.name || t("header.you")}</summary>
          <div class="panel">
            <label class="inline">
              <span>{t("header.theme")}</span>
              <select value={theme.value} onChange={(e) => chooseTheme(e.currentTarget.value as Theme)}>
                {(["system", "light", "dark"] as const).map((x) => (
                  <option key={x} value={x} selected={x === theme.value}>
                    {t(`theme.${x}`)}
                  </option>
                ))}
              </select>
            </label>
            {found?.roles.length ? <p class="muted">{t("header.roles", { roles: found.roles.join(", ") })}</p> : null}
            {found?.service.version && <p class="muted">{t("header.version", { version: found.service.version })}</p>}
            {loggedIn && (
              <>
                <Button busy={leave.busy} onClick={() => void leave.run(false)}>
                  {t("action.logout")}
                </Button>
                <Button busy={leave.busy} onClick={() => void leave.run(true)} title={t("action.logout.everywhere.means")}>
                  {t("action.logout.everywhere")}
                </Button>
              </>
            )}
            {leave.error && <Trouble error={leave.error} />}
          </div>
        </details>
      </div>
      {project.error && <Trouble error={project.error} />}
    </header>
  );
}

interface Place {
  path: string;
  text: Key;
  also?: string;
}

function places(may: May): [Key, Place[]][] {
  const admin = session.value?.is_admin ?? false;
  const operator = (["stores", "work", "jobs", "events"] as const).filter((x) => x === "stores" || (admin && offered.value[x] !== false));
  return [
    ["nav.group.images", [
      { path: "/console/images", text: "nav.images" },
      ...(may("add_image") ? [{ path: "/console/upload", text: "nav.upload" } as const, { path: "/console/import", text: "nav.import" } as const] : []),
      ...(extension("families") ? [{ path: "/console/families", text: "nav.families" } as const] : []),
      ...(extension("trash") ? [{ path: "/console/trash", text: "nav.trash" } as const] : []),
      ...(extension("lifecycle") ? [{ path: "/console/lifecycle", text: "nav.lifecycle" } as const] : []),
    ]],
    ["nav.group.project", [{ path: "/console/usage", text: "nav.usage" }, { path: "/console/definitions", text: "nav.definitions" }]],
    ["nav.group.service", operator.map((x) => ({ path: `/console/${x}`, text: `nav.${x}` }) as const)],
  ];
}

export function Navigation(): JSX.Element {
  const { path } = useLocation();
  const may = usePermissions();
  useEffect(() => {
    open.value = false;
  }, [path]);
  return (
    <nav id="navigation" class={open.value ? "open" : ""} aria-label={t("nav.label")}>
      {places(may).map(([group, found]) => (
        <div key={group}>
          <h2>{t(group)}</h2>
          <ul>
            {found.map((x) => {
              const here = path === x.path || path.startsWith(`${x.path}/`);
              return (
                <li key={x.path}>
                  <a href={x.path} {...(here ? { "aria-current": "page" } : {})}>
                    {t(x.text)}
                  </a>
                </li>
              );
            })}
          </ul>
        </div>
      ))}
    </nav>
  );
}

export function AwayBanner(): JSX.Element | null {
  const since = away.value;
  const [, setTurn] = useState(0);
  useEffect(() => {
    if (since === null) return undefined;
    const timer = setInterval(() => setTurn((x) => x + 1), 1000);
    return () => clearInterval(timer);
  }, [since]);
  if (since === null) return null;
  return (
    <div class="note warn away" role="alert">
      <strong>{t("away.title")}</strong>
      <p>
        {t("away.about")} <span aria-hidden="true">{t("away.since", { time: clock((Date.now() - since) / 1000) })}</span>
      </p>
      <Button onClick={() => void tryNow()}>{t("action.trynow")}</Button>
    </div>
  );
}

/** Uploads go on while one looks at other screens. */
export function UploadTray(): JSX.Element | null {
  const { path } = useLocation();
  const all = running.value;
  if (!all.length || path === "/console/upload") return null;
  const sent = all.reduce((sum, x) => sum + x.sent, 0);
  const size = all.reduce((sum, x) => sum + x.file.size, 0);
  return (
    <aside class="tray" aria-label={t("tray.label")}>
      <a href="/console/upload">{tn("tray.running", all.length, { percent: percent(sent, size) })}</a>
      <progress max={100} value={percent(sent, size)} aria-label={t("tray.label")} />
    </aside>
  );
}
