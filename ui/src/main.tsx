// Entry: takes the token from the address, starts the live stream, draws the page.
import { type ComponentType, render } from 'preact';
import { ErrorBoundary, lazy, LocationProvider, Route, Router, useLocation } from 'preact-iso';
import { useEffect } from 'preact/hooks';
import { takeToken } from './api/client';
import { start } from './api/live';
import { syncSearch } from './lib/url';
import { Empty, Head } from './parts/basic';
import { ActDialog } from './parts/act';
import Unreachable from './pages/unreachable';
import { Frame } from './parts/frame';

/** A page is fetched when it is opened; when it cannot be, that is said. */
const page = (load: () => Promise<{ default: ComponentType }>) => lazy(() => load().catch(() => ({ default: Unreachable })));
const Home = page(() => import('./pages/home'));
const Changes = page(() => import('./pages/changes'));
const Change = page(() => import('./pages/change'));
const Runs = page(() => import('./pages/runs'));
const Run = page(() => import('./pages/run'));
const Deploy = page(() => import('./pages/deploy'));
const Rollouts = page(() => import('./pages/rollouts'));
const Rollout = page(() => import('./pages/rollout'));
const Explore = page(() => import('./pages/explore'));
const Dashboards = page(() => import('./pages/dashboards'));
const Logs = page(() => import('./pages/logs'));
const Patterns = page(() => import('./pages/patterns'));
const Alerts = page(() => import('./pages/alerts'));
const Targets = page(() => import('./pages/targets'));
const Incidents = page(() => import('./pages/incidents'));
const Incident = page(() => import('./pages/incident'));
const Reports = page(() => import('./pages/reports'));
const Ledger = page(() => import('./pages/ledger'));
const LedgerEvent = page(() => import('./pages/event'));
const Doctor = page(() => import('./pages/doctor'));
const Provision = page(() => import('./pages/provision'));
const Secure = page(() => import('./pages/secure'));
const Optimize = page(() => import('./pages/optimize'));
const Report = page(() => import('./pages/report'));

function Missing() {
  return <><Head title="No such page" /><Empty>Nothing is here. The address may come from an older version; search with <kbd>/</kbd> or go back to the loop.</Empty></>;
}

function App() {
  const { url, path } = useLocation();
  useEffect(() => { syncSearch(); }, [url]);
  syncSearch();
  useEffect(() => { document.getElementById('main')?.scrollTo(0, 0); scrollTo(0, 0); }, [path]);
  return (
    <Frame>
      <ErrorBoundary>
        <Router>
          <Route path="/" component={Home} />
          <Route path="/changes" component={Changes} />
          <Route path="/changes/:sha" component={Change} />
          <Route path="/pipeline" component={Runs} />
          <Route path="/runs" component={Runs} />
          <Route path="/runs/:run" component={Run} />
          <Route path="/deploy" component={Deploy} />
          <Route path="/services" component={Deploy} />
          <Route path="/services/:service" component={Deploy} />
          <Route path="/rollouts" component={Rollouts} />
          <Route path="/releases" component={Rollouts} />
          <Route path="/rollouts/:deployment" component={Rollout} />
          <Route path="/observe" component={Explore} />
          <Route path="/observe/explore" component={Explore} />
          <Route path="/observe/dashboards" component={Dashboards} />
          <Route path="/observe/dashboards/:uid" component={Dashboards} />
          <Route path="/observe/logs" component={Logs} />
          <Route path="/observe/patterns" component={Patterns} />
          <Route path="/observe/alerts" component={Alerts} />
          <Route path="/observe/targets" component={Targets} />
          <Route path="/incidents" component={Incidents} />
          <Route path="/incidents/:id" component={Incident} />
          <Route path="/reports" component={Reports} />
          <Route path="/reports/:team" component={Report} />
          <Route path="/ledger" component={Ledger} />
          <Route path="/ledger/:seq" component={LedgerEvent} />
          <Route path="/events/:seq" component={LedgerEvent} />
          <Route path="/doctor" component={Doctor} />
          <Route path="/provision/:show?" component={Provision} />
          <Route path="/secure/:show?" component={Secure} />
          <Route path="/optimize/:show?" component={Optimize} />
          <Route default component={Missing} />
        </Router>
      </ErrorBoundary>
      <ActDialog />
    </Frame>
  );
}

takeToken();
void start();
const root = document.getElementById('app');
if (root) render(<LocationProvider><App /></LocationProvider>, root);
