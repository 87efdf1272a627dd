// Entry: takes the token from the address, starts the live stream, draws the page.
import { render } from 'preact';
import { ErrorBoundary, lazy, LocationProvider, Route, Router, useLocation } from 'preact-iso';
import { useEffect } from 'preact/hooks';
import { takeToken } from './api/client';
import { start } from './api/live';
import { syncSearch } from './lib/url';
import { Empty, Head } from './parts/basic';
import { ActDialog } from './parts/act';
import { Frame } from './parts/frame';

const Home = lazy(() => import('./pages/home'));
const Changes = lazy(() => import('./pages/changes'));
const Change = lazy(() => import('./pages/change'));
const Runs = lazy(() => import('./pages/runs'));
const Run = lazy(() => import('./pages/run'));
const Deploy = lazy(() => import('./pages/deploy'));
const Rollouts = lazy(() => import('./pages/rollouts'));
const Rollout = lazy(() => import('./pages/rollout'));
const Explore = lazy(() => import('./pages/explore'));
const Dashboards = lazy(() => import('./pages/dashboards'));
const Logs = lazy(() => import('./pages/logs'));
const Patterns = lazy(() => import('./pages/patterns'));
const Alerts = lazy(() => import('./pages/alerts'));
const Targets = lazy(() => import('./pages/targets'));
const Incidents = lazy(() => import('./pages/incidents'));
const Incident = lazy(() => import('./pages/incident'));
const Reports = lazy(() => import('./pages/reports'));
const Ledger = lazy(() => import('./pages/ledger'));
const LedgerEvent = lazy(() => import('./pages/event'));
const Doctor = lazy(() => import('./pages/doctor'));
const Later = lazy(() => import('./pages/later'));

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
          <Route path="/ledger" component={Ledger} />
          <Route path="/ledger/:seq" component={LedgerEvent} />
          <Route path="/events/:seq" component={LedgerEvent} />
          <Route path="/doctor" component={Doctor} />
          <Route path="/provision" component={Later} stage="provision" />
          <Route path="/secure" component={Later} stage="secure" />
          <Route path="/optimize" component={Later} stage="optimize" />
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
