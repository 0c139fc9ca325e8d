/** The frame around all screens: who is logged in, where one can go, and what is shown there. */
import { signal } from "@preact/signals";
import { LocationProvider, Route, Router, useLocation } from "preact-iso";
import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { expired, loadSession, session } from "./api/session.ts";
import { away, renewed } from "./api/connection.ts";
import { useQuery } from "./query.ts";
import { t } from "./text.ts";
import { Empty, Loading, Screen, Trouble } from "./ui/parts.tsx";
import { Dialog } from "./ui/forms.tsx";
import { Toasts } from "./ui/toasts.tsx";
import { AwayBanner, Header, Navigation, UploadTray } from "./frame.tsx";
import { items } from "./uploads/state.ts";
import { loadTheOthers, screen } from "./screens/later.ts";
import { Login } from "./screens/login.tsx";
import { Images } from "./screens/images/list.tsx";

const Image = screen(() => import("./screens/images/image.tsx").then((x) => x.ImageScreen));
const Upload = screen(() => import("./screens/upload.tsx").then((x) => x.UploadScreen));
const Import = screen(() => import("./screens/import.tsx").then((x) => x.ImportScreen));
const Families = screen(() => import("./screens/families/list.tsx").then((x) => x.Families));
const Family = screen(() => import("./screens/families/family.tsx").then((x) => x.FamilyScreen));
const Lifecycle = screen(() => import("./screens/lifecycle.tsx").then((x) => x.Lifecycle));
const Policy = screen(() => import("./screens/policy.tsx").then((x) => x.PolicyScreen));
const Definitions = screen(() => import("./screens/definitions.tsx").then((x) => x.Definitions));
const Usage = screen(() => import("./screens/usage.tsx").then((x) => x.UsageScreen));
const Trash = screen(() => import("./screens/trash.tsx").then((x) => x.Trash));
const Stores = screen(() => import("./screens/operate/stores.tsx").then((x) => x.Stores));
const Work = screen(() => import("./screens/operate/work.tsx").then((x) => x.Work));
const Jobs = screen(() => import("./screens/operate/jobs.tsx").then((x) => x.Jobs));
const Events = screen(() => import("./screens/operate/events.tsx").then((x) => x.Events));

export function App(): JSX.Element {
  return (
    <LocationProvider scope={/^\/console(?!\/(api|session|websso))/}>
      <Gate />
    </LocationProvider>
  );
}

/** Asks who is there; shows the login, or the console. */
function Gate(): JSX.Element {
  const asked = useQuery("session", loadSession);
  const found = session.value;
  useEffect(() => {
    if (found?.authenticated && items.value.length) void import("./uploads/uploads.ts").then((x) => x.sessionIsBack());
  }, [found?.authenticated, found?.csrf]);
  useEffect(() => {
    if (found?.authenticated) loadTheOthers();
  }, [found?.authenticated]);
  if (!found) {
    return (
      <main class="alone">
        {away.value !== null && <AwayBanner />}
        {asked.error && away.value === null ? <Trouble error={asked.error} retry={asked.reload} /> : <Loading />}
      </main>
    );
  }
  if (!found.authenticated && !expired.value) {
    return (
      <>
        <AwayBanner />
        <Login />
      </>
    );
  }
  return (
    <div class="frame" key={`${found.user?.id ?? ""} ${found.project?.id ?? ""}`}>
      <a class="skip" href="#content">
        {t("skip")}
      </a>
      <Header />
      <Navigation />
      <main id="content">
        <AwayBanner />
        <Screens />
      </main>
      <UploadTray />
      <Toasts />
      {expired.value && (
        <Dialog title={t("expired.title")} close={() => undefined} firm>
          <p>{t("expired.about")}</p>
          <Login again />
        </Dialog>
      )}
    </div>
  );
}

const coming = signal(false);

function Screens(): JSX.Element {
  return (
    <>
      {coming.value && <Loading />}
      <Routes />
    </>
  );
}

function Routes(): JSX.Element {
  return (
    <Router onRouteChange={() => window.scrollTo(0, 0)} onLoadStart={() => (coming.value = true)} onLoadEnd={() => (coming.value = false)}>
      <Route path="/console" component={Home} />
      <Route path="/console/images" component={Images} />
      <Route path="/console/images/:id" component={Image} />
      <Route path="/console/upload" component={Upload} />
      <Route path="/console/import" component={Import} />
      <Route path="/console/families" component={Families} />
      <Route path="/console/families/:id" component={Family} />
      <Route path="/console/lifecycle" component={Lifecycle} />
      <Route path="/console/lifecycle/:id" component={Policy} />
      <Route path="/console/definitions" component={Definitions} />
      <Route path="/console/usage" component={Usage} />
      <Route path="/console/trash" component={Trash} />
      <Route path="/console/stores" component={Stores} />
      <Route path="/console/work" component={Work} />
      <Route path="/console/jobs" component={Jobs} />
      <Route path="/console/events" component={Events} />
      <Route default component={Nowhere} />
    </Router>
  );
}

function Home(): null {
  const { route } = useLocation();
  useEffect(() => route("/console/images", true), []);
  return null;
}

function Nowhere(): JSX.Element {
  return (
    <Screen title={t("nowhere.title")}>
      <Empty title={t("nowhere.empty")} actions={<a href="/console/images">{t("nav.images")}</a>}>
        <p>{t("nowhere.about")}</p>
      </Empty>
    </Screen>
  );
}

// somebody logs out in another window of this browser
window.addEventListener("focus", () => {
  if (session.value?.authenticated && !expired.value && away.value === null) {
    const before = `${session.value.user?.id} ${session.value.project?.id}`;
    loadSession().then(
      (now) => now.authenticated && before !== `${now.user?.id} ${now.project?.id}` && renewed(),
      () => undefined, // the banner says it
    );
  }
});
